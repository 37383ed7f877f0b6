"""The demo's channels: real ones in every respect but the base addresses, which are the simulated providers."""

from __future__ import annotations

import secrets
from typing import Any

from django.conf import settings

from channels_in.email import fake as mail
from channels_in.sms import fake as twilio
from channels_in.whatsapp import fake as graph


def fields() -> dict[str, dict[str, Any]]:
    """Kind -> fields of `Channel`. Secrets are made anew for each demo."""
    sms_settings, sms_secrets = twilio.demo_settings()
    whatsapp_settings, whatsapp_secrets = graph.demo_settings()
    return {
        "email": {
            "slug": "mail",
            "name": "help@moa.example",
            "address": "help@moa.example",
            "account_id": "help@moa.example",
            "settings": {"transport": "fake", "authserv_id": mail.AUTHSERV_ID, "plus_addressing": True},
        },
        "sms": {
            "slug": "sms",
            "name": "SMS 1588-0100",
            "address": "+821588010000",
            "account_id": "+821588010000",
            "settings": sms_settings,
            "secrets": sms_secrets,
        },
        "whatsapp": {
            "slug": "whatsapp",
            "name": "WhatsApp",
            "address": "+821588010011",
            "account_id": "100000000000011",
            "app_id": "demo",
            "settings": whatsapp_settings,
            "secrets": whatsapp_secrets,
        },
        "webchat": {
            "slug": "chat",
            "name": "웹 채팅 Web chat",
            "settings": {
                "origins": sorted(set(settings.SITE_ORIGINS)),
                "greeting": {"ko": "안녕하세요, 무엇을 도와드릴까요?", "en": "Hello, how can we help?"},
            },
            "secrets": {"identity:demo": f"HS256:{secrets.token_hex(24)}"},
        },
    }
