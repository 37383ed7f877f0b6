from django.urls import URLPattern, URLResolver, include, path

from channels_in.views import dead_letters
from channels_in.webhooks import hook

urlpatterns: list[URLPattern | URLResolver] = [
    path("hooks/<slug:slug>/", hook, name="hook"),
    path("settings/dead-letters/", dead_letters.dead_letters, name="dead_letters"),
    path("settings/dead-letters/items/<int:pk>/replays/", dead_letters.replay, name="dead_letter_replay"),
    path("settings/dead-letters/items/<int:pk>/original/", dead_letters.original, name="dead_letter_original"),
    path("settings/dead-letters/replies/<int:pk>/verdict/", dead_letters.settle, name="dead_letter_settle"),
    path("settings/dead-letters/webhooks/<int:pk>/replays/", dead_letters.redeliver, name="dead_letter_redeliver"),
    path("simulator/", include("channels_in.simulator.urls")),
    path("fake/sms/", include("channels_in.sms.fake")),
    path("fake/whatsapp/", include("channels_in.whatsapp.fake")),
    path("", include("channels_in.webchat.urls")),
]
