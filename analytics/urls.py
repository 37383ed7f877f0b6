from django.urls import path

from analytics import views

urlpatterns = [
    path("reports/", views.overview, name="reports"),
    path("reports/tickets/<slug:metric>/", views.drill, name="report_tickets"),
    path("survey/<str:token>/", views.survey, name="survey"),
    path("survey/<str:token>", views.survey),
]
