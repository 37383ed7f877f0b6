"""800 messages on three channels while the worker dies three times and Redis once: nothing is lost, nothing doubled.

`bin/chaos` plays 2,000 and more.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 900  # seconds on a busy machine; an idle one with two cores needs less than two minutes


@pytest.mark.timeout(LONGEST + 120)
def test_a_run_with_all_its_faults():
    run = subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.run", "--seed", "1", "--events", "800", "--minutes", "1"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ},
    )  # fmt: skip
    try:
        said, _nothing = run.communicate(timeout=LONGEST)
    finally:
        if run.poll() is None:
            run.terminate()  # its servers and processes die with it
            run.communicate()
    lines = said.splitlines()
    assert run.returncode == 0, said
    assert re.fullmatch(r"(\d+) passed, 0 failed", lines[-1]), said
    assert sum(line.startswith("passed  ") for line in lines) == int(lines[-1].split()[0]) > 15
    assert "passed  the faults happened: 3 x worker, 1 x redis" in lines
    assert re.search(r"800 messages in \d+ conversations, 80 come twice, 40 in the wrong order", lines[0])
