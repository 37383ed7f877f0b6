"""Every address begins here. /healthz and /readyz are answered by helpdesk.health before any host is checked."""

from django.urls import include, path

from helpdesk import views

urlpatterns = [
    path("csp-report/", views.csp_report, name="csp_report"),
    path("offline/", views.offline, name="offline"),
    path("service-worker.js", views.service_worker, name="service_worker"),
    path("", include("agents.urls")),
    path("", include("channels_in.urls")),
    path("", include("analytics.urls")),
    path("settings/", include("tickets.workspace.settings_urls")),
    path("api/", include("tickets.api.urls")),
    path("", include("tickets.workspace.urls")),
]
