from django.urls import path

from channels_in.simulator import views
from channels_in.simulator.mount import only_in_demo

urlpatterns = only_in_demo(
    [
        path("", views.page, name="simulator"),
        path("feed/", views.feed, name="simulator_feed"),
        path("messages/", views.messages, name="simulator_messages"),
        path("reading/", views.reading, name="simulator_reading"),
        path("trouble/", views.trouble, name="simulator_trouble"),
        path("people/", views.invent, name="simulator_people"),
        path("identity/", views.identity_token, name="simulator_identity"),
        path("media/<slug:kind>/<str:key>/", views.media, name="simulator_media"),
    ]
)
