from django.urls import URLPattern, URLResolver, path

from tickets.workspace.views.styleguide import styleguide

urlpatterns: list[URLPattern | URLResolver] = [
    path("styleguide/", styleguide, name="styleguide"),
]
