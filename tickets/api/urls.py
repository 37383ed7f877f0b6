from django.urls import path
from drf_spectacular.views import SpectacularAPIView

from tickets.api import docs, views

urlpatterns = [
    path("schema/", SpectacularAPIView.as_view(authentication_classes=[], permission_classes=[]), name="api_schema"),
    path("docs/", docs.pages, name="api_docs"),
    path("v1/tickets/", views.Tickets.as_view(), name="api_tickets"),
    path("v1/tickets/<int:pk>/", views.OneTicket.as_view(), name="api_ticket"),
    path("v1/tickets/<int:pk>/messages/", views.Messages.as_view(), name="api_messages"),
    path("v1/tickets/<int:pk>/promises/", views.Promises.as_view(), name="api_promises"),
    path("v1/customers/", views.Customers.as_view(), name="api_customers"),
    path("v1/customers/<int:pk>/", views.OneCustomer.as_view(), name="api_customer"),
    path("v1/customers/<int:pk>/timeline/", views.Timeline.as_view(), name="api_timeline"),
    path("v1/channels/", views.Channels.as_view(), name="api_channels"),
    path("v1/ticket-fields/", views.TicketFields.as_view(), name="api_ticket_fields"),
    path("v1/macros/", views.Macros.as_view(), name="api_macros"),
]
