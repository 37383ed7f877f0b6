"""bin/chaos [messages|clocks|routing] [--help]: breaks things while work comes in, and checks what must hold."""

from __future__ import annotations

import sys

from tests.chaos import clocks, routing, run

RUNS = {"messages": run.main, "clocks": clocks.main, "routing": routing.main}

if __name__ == "__main__":
    named = len(sys.argv) > 1 and sys.argv[1] in RUNS
    sys.exit(RUNS[sys.argv.pop(1) if named else "messages"]())
