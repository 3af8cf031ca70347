import json
import subprocess
import sys

import pytest

from allcores.cli import doctor
from allcores.runtime import machine


@pytest.fixture(scope="module")
def report():
    """What the command prints as JSON, once for all tests of this module."""
    command = [sys.executable, "-m", "allcores", "doctor", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.stderr == ""
    assert done.returncode == 0, done.stdout
    return json.loads(done.stdout)


@pytest.mark.timeout(120)
def test_the_doctor_sees_the_machine(report):
    assert report["machine"]["cores"] == machine.cpu_count()
    assert report["python"]["executable"] == sys.executable
    assert report["limits"]["open_files"] is None or report["limits"]["open_files"] > 0


@pytest.mark.timeout(120)
def test_the_doctor_measures_start_dispatch_and_transport(report):
    assert report["costs_error"] is None
    assert all(value > 0 for value in report["costs"].values())
    assert report["costs"]["dispatch_seconds"] < report["costs"]["start_seconds"]


@pytest.mark.timeout(120)
def test_the_doctor_names_libraries_with_threads_of_their_own(report):
    pytest.importorskip("numpy")
    assert all(library["num_threads"] >= 1 for library in report["blas"])


@pytest.mark.timeout(120)
def test_a_person_reads_every_figure(report):
    text = "\n".join(doctor.lines(report))
    for words in ("cores to use", "quota (cgroup)", "GIL", "first call", "16 MiB back"):
        assert words in text


def test_workers_that_cannot_be_measured_are_said():
    failed = {"costs": None, "costs_error": "no worker could be started"}
    assert list(doctor._cost_lines(failed)) == [("FAILED", "no worker could be started")]


def test_a_machine_without_numeric_libraries_is_said():
    assert list(doctor._blas_lines([])) == [("none", "NumPy is not installed, or brings none")]
