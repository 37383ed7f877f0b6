"""Named places between two side effects at which the durability tests let the process die."""

import os

from django.conf import settings


def crash_here(name: str) -> None:
    """Die like a killed process if the settings of the tests name this point; inert everywhere else."""
    if getattr(settings, "CRASH_AT", "") == name:
        os._exit(9)
