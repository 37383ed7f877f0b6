from django.urls import include, path

from agents import views

urlpatterns = [
    path("accounts/", include("allauth.urls")),
    path("settings/", views.settings_home, name="settings"),
    path("settings/people/", views.people, name="people"),
    path("settings/people/new/", views.person, name="person_new"),
    path("settings/people/<int:agent_id>/", views.person, name="person"),
    path("settings/people/<int:agent_id>/invitation/", views.person_invitation, name="person_invitation"),
    path("settings/teams/", views.teams, name="teams"),
    path("settings/teams/<int:team_id>/", views.team, name="team"),
    path("settings/skills/", views.skills, name="skills"),
    path("settings/skills/<int:skill_id>/removal/", views.skill_removal, name="skill_removal"),
    path("settings/hours/", views.calendars, name="calendars"),
    path("settings/hours/new/", views.calendar, name="calendar_new"),
    path("settings/hours/<int:calendar_id>/", views.calendar, name="calendar"),
    path("settings/profile/", views.profile, name="profile"),
    path("settings/preference/", views.preference, name="preference"),
]
