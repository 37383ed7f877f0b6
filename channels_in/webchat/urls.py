from django.urls import path

from channels_in.webchat import views

urlpatterns = [
    path("widget.js", views.widget_js, name="widget_js"),
    path("demo-shop/", views.demo_shop, name="demo_shop"),
    path("chat/<slug:slug>/", views.hosted, name="chat_hosted"),
    path("chat/<slug:slug>/panel/", views.panel, name="chat_panel"),
    path("chat/<slug:slug>/boot/", views.boot, name="chat_boot"),
    path("chat/<slug:slug>/session/", views.session, name="chat_session"),
    path("chat/<slug:slug>/session/renewal/", views.renewal, name="chat_renewal"),
    path("chat/<slug:slug>/messages/", views.messages, name="chat_messages"),
    path("chat/<slug:slug>/uploads/", views.uploads, name="chat_uploads"),
    path("chat/<slug:slug>/events/", views.events, name="chat_events"),
    path("chat/<slug:slug>/typing/", views.typing, name="chat_typing"),
    path("chat/<slug:slug>/delivered/", views.delivered, name="chat_delivered"),
    path("chat/<slug:slug>/read/", views.read, name="chat_read"),
    path("chat/<slug:slug>/forms/", views.forms, name="chat_forms"),
    path("chat/<slug:slug>/ratings/", views.ratings, name="chat_ratings"),
]
