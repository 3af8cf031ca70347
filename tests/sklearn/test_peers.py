"""A few of the tests that joblib and scikit-learn ship; ``make peers`` runs them all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parent.parent.parent / "tools" / "peers" / "run.py"


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("suite", "tests"),
    [
        ("joblib", "allcores and (error_in_task_iterator or parallel_pretty_print)"),
        ("searches", "test_random_search_cv_results_multimetric"),
    ],
)
def test_some_tests_of_our_peers_pass(suite, tests):
    command = [sys.executable, str(RUN), "--only", suite, "-k", tests]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=170, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
