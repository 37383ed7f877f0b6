from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("fake/sms/", include("channels_in.sms.fake")),
    path("fake/whatsapp/", include("channels_in.whatsapp.fake")),
]
