from django.urls import URLPattern, URLResolver, include, path

from channels_in.views import channels, dead_letters
from channels_in.webhooks import hook

urlpatterns: list[URLPattern | URLResolver] = [
    path("hooks/<slug:slug>/", hook, name="hook"),
    path("settings/channels/", channels.channels, name="channels"),
    path("settings/channels/new/", channels.kinds, name="channel_kinds"),
    path("settings/channels/new/<slug:kind>/", channels.new, name="channel_new"),
    path("settings/channels/<int:pk>/", channels.channel, name="channel"),
    path("settings/channels/<int:pk>/activity/", channels.activity, name="channel_activity"),
    path("settings/channels/<int:pk>/check/", channels.check, name="channel_check"),
    path("settings/channels/<int:pk>/secrets/<slug:name>/", channels.make_secret, name="channel_secret"),
    path(
        "settings/channels/<int:pk>/secrets/<slug:name>/removal/", channels.remove_secret, name="channel_secret_removal"
    ),
    path("settings/channels/<int:pk>/identity-keys/", channels.make_identity_key, name="channel_identity_keys"),
    path(
        "settings/channels/<int:pk>/identity-keys/<slug:kid>/removal/",
        channels.remove_identity_key,
        name="channel_identity_key_removal",
    ),
    path("settings/dead-letters/", dead_letters.dead_letters, name="dead_letters"),
    path("settings/dead-letters/items/<int:pk>/replays/", dead_letters.replay, name="dead_letter_replay"),
    path("settings/dead-letters/items/<int:pk>/original/", dead_letters.original, name="dead_letter_original"),
    path("settings/dead-letters/replies/<int:pk>/verdict/", dead_letters.settle, name="dead_letter_settle"),
    path("settings/dead-letters/webhooks/<int:pk>/replays/", dead_letters.redeliver, name="dead_letter_redeliver"),
    path("settings/dead-letters/rules/<int:pk>/replays/", dead_letters.do_again, name="dead_letter_do_again"),
    path("simulator/", include("channels_in.simulator.urls")),
    path("fake/sms/", include("channels_in.sms.fake")),
    path("fake/whatsapp/", include("channels_in.whatsapp.fake")),
    path("", include("channels_in.webchat.urls")),
]
