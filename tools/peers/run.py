"""Runs the test suites that joblib and scikit-learn ship, with our backend and with our searches: ``make peers``.

    python tools/peers/run.py [--backend loky] [--only NAME] [arguments for pytest]

With ``--backend loky`` the same tests run under joblib's own backend: no test may fail with ours that does not fail
there. Tests that are left out stand in ``deselected.txt``, each with its reason.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SKLEARN = (
    "sklearn.model_selection",
    "sklearn.ensemble",
    "sklearn.tests.test_multiclass",
    "sklearn.tests.test_multioutput",
    "sklearn.inspection.tests.test_permutation_importance",
    "sklearn.utils.tests.test_parallel",
    "sklearn.callback",
)
# Name, modules, and what the plugin is told beside the backend.
SUITES = {
    "joblib": (("joblib.test.test_parallel",), {"PEERS_BACKEND": ""}),
    "sklearn": (SKLEARN, {}),
    "searches": (
        (
            "sklearn.model_selection.tests.test_search",
            "sklearn.model_selection.tests.test_successive_halving",
        ),
        {"PEERS_SEARCHES": "1"},
    ),
}


def run(name: str, backend: str, arguments: list[str]) -> int:
    """One suite in a process of its own; returns pytest's status."""
    modules, told = SUITES[name]
    environ = {**os.environ, "PEERS_SUITE": name, "PEERS_BACKEND": backend, **told}
    environ["PYTHONPATH"] = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    if name == "joblib":
        environ.pop("OMP_NUM_THREADS", None)  # its tests ask how many threads others are given
    else:
        environ.setdefault("OMP_NUM_THREADS", "1")
    command = [sys.executable, "-m", "pytest", "-p", "peers_plugin", "-p", "no:cacheprovider", "-q"]
    command += ["-c", os.devnull, "--rootdir", str(HERE), "-W", "ignore", "--pyargs", *modules, *arguments]
    print(f"== {name} with {backend or 'allcores registered'}", flush=True)
    return subprocess.run(command, env=environ, check=False).returncode


def main() -> int:
    """Runs what was asked for; the worst status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", default="allcores", choices=("allcores", "loky"))
    parser.add_argument("--only", choices=sorted(SUITES), action="append")
    chosen, arguments = parser.parse_known_args()
    return max(run(name, chosen.backend, arguments) for name in chosen.only or SUITES)


if __name__ == "__main__":
    sys.exit(main())
