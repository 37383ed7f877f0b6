from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.conftest import LiveServer, Process
from tests.flows import stage as scenes
from tests.flows.stage import PATIENCE, Stage


@pytest.fixture
def stage(
    live_server: LiveServer, new_context: Callable[..., Any], parser: Any, start_process: Callable[..., Process]
) -> Stage:
    """A shop at work, with all its processes."""
    crew = scenes.open_shop()
    scenes.start_processes(start_process)
    expect.set_options(timeout=PATIENCE)
    made = Stage(live_server, new_context, crew)
    yield made
