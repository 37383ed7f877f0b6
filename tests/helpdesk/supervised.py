"""A program for test_supervisor.py: a supervisor with two children that note their signals. argv: the data folder."""

import sys
from pathlib import Path

from helpdesk.supervisor import AlreadyRunning, Child, StopRequested, Supervisor

CHILD = """
import os, signal, subprocess, sys, time
name, folder = sys.argv[1:]
def stop(number, frame):
    open(folder + "/ended", "a").write(name + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
open(f"{folder}/{name}.pid", "w").write(str(os.getpid()))
while True:
    time.sleep(0.05)
"""


def main(folder: Path) -> int:
    try:
        with Supervisor(data_dir=folder, cwd=Path.cwd()) as supervisor:
            for name in ("first", "second"):
                healthy = (lambda: not (folder / "stuck").exists()) if name == "second" else None
                supervisor.start(
                    Child(
                        name,
                        [sys.executable, "-c", CHILD, name, str(folder)],
                        healthy=healthy,
                        check_every=0.1,
                        grace=0.1,
                    )
                )
            supervisor.run(url="http://example.test")
    except AlreadyRunning as running:
        print("already", running.state.get("pid"), running.state.get("url"))
        return 1
    except StopRequested:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
