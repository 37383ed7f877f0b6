"""The nouns of the core (design.md 5). PostgreSQL holds the rules, not only Python."""

from tickets.models.answer import AutomaticAnswer, AutomaticReply
from tickets.models.brand import Brand
from tickets.models.bulk import BulkJob, BulkRow
from tickets.models.channel import Channel
from tickets.models.customer import Customer, CustomerJoin, Identity
from tickets.models.draft import Draft
from tickets.models.event import Event, Outbox, Webhook
from tickets.models.field import TicketField
from tickets.models.follower import Follower, Mention
from tickets.models.incident import Incident
from tickets.models.macro import Macro, MacroFile, MacroUse
from tickets.models.message import Attachment, DeliveryAttempt, DeliveryPart, Message
from tickets.models.message_template import MessageTemplate
from tickets.models.notification import Notification, NotificationChoice, NotificationHours, NotificationMail
from tickets.models.opening import Opening
from tickets.models.promise import Promise
from tickets.models.push import PushKey, PushSubscription
from tickets.models.rule import (
    RoutingDecision,
    Rule,
    RuleMatch,
    RuleRun,
    RuleTimer,
    RuleTrial,
    RuleTrialRow,
    RuleVersion,
    StaffingTrial,
)
from tickets.models.search import SearchEntry
from tickets.models.signature import Signature
from tickets.models.sla import (
    SlaClock,
    SlaPolicy,
    SlaPolicyVersion,
    SlaSegment,
    SlaTarget,
    SlaTrial,
    SlaTrialPromise,
    SlaTrialTicket,
    SlaWarning,
)
from tickets.models.ticket import ReadMark, Route, Tag, Ticket, TicketLink, TicketSkill
from tickets.models.token import ApiToken, IdempotencyKey
from tickets.models.view import SavedView

__all__ = [
    "ApiToken",
    "Attachment",
    "AutomaticAnswer",
    "AutomaticReply",
    "Brand",
    "BulkJob",
    "BulkRow",
    "Channel",
    "Customer",
    "CustomerJoin",
    "DeliveryAttempt",
    "DeliveryPart",
    "Draft",
    "Event",
    "Follower",
    "IdempotencyKey",
    "Identity",
    "Incident",
    "Macro",
    "MacroFile",
    "MacroUse",
    "Mention",
    "Message",
    "MessageTemplate",
    "Notification",
    "NotificationChoice",
    "NotificationHours",
    "NotificationMail",
    "Opening",
    "Outbox",
    "Promise",
    "PushKey",
    "PushSubscription",
    "ReadMark",
    "Route",
    "RoutingDecision",
    "Rule",
    "RuleMatch",
    "RuleRun",
    "RuleTimer",
    "RuleTrial",
    "RuleTrialRow",
    "RuleVersion",
    "SavedView",
    "SearchEntry",
    "Signature",
    "SlaClock",
    "SlaPolicy",
    "SlaPolicyVersion",
    "SlaSegment",
    "SlaTarget",
    "SlaTrial",
    "SlaTrialPromise",
    "SlaTrialTicket",
    "SlaWarning",
    "StaffingTrial",
    "Tag",
    "Ticket",
    "TicketField",
    "TicketLink",
    "TicketSkill",
    "Webhook",
]
