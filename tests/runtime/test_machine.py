import os
import subprocess
import sys

import pytest

from allcores.runtime import machine

MEMINFO = "MemTotal:       24684092 kB\nMemFree:        24427296 kB\nMemAvailable:   24380320 kB\nHugePages_Free: 0\n"


@pytest.mark.parametrize(
    ("affinity", "quota", "cores"),
    [(8, None, 8), (8, 1.5, 2), (8, 0.1, 1), (2, 16.0, 2), (4, 4.0, 4), (1, None, 1)],
)
def test_a_quota_is_rounded_up_and_never_exceeds_the_affinity(affinity, quota, cores):
    assert machine.usable_cores(affinity, quota) == cores


def test_cpu_count_is_at_least_one_and_at_most_what_is_visible():
    assert 1 <= machine.cpu_count() <= (os.cpu_count() or 1)


def test_facts_agree_with_each_other():
    facts = machine.facts()
    assert facts.cores == machine.cpu_count() == machine.usable_cores(facts.affinity_cores, facts.quota_cores)
    assert 0 < facts.available_bytes <= facts.memory_bytes
    assert facts.memory_limit_bytes is None or facts.available_bytes <= facts.memory_limit_bytes
    assert facts.platform == sys.platform
    assert facts.start_method in (machine.FORKS, machine.PORTABLE)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_cpu_count_follows_the_affinity_of_the_process():
    one_core = min(os.sched_getaffinity(0))
    code = (
        f"import os; os.sched_setaffinity(0, [{one_core}])\n"
        "from allcores.runtime.machine import cpu_count; print(cpu_count())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere memory is asked of psutil")
def test_facts_import_no_psutil():
    code = "import sys; from allcores.runtime.machine import facts; facts(); print('psutil' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_memory_is_read_from_the_kernel():
    assert machine.parse_meminfo(MEMINFO) == (24684092 * 1024, 24380320 * 1024)


@pytest.mark.parametrize("text", ["", "MemTotal: 12 kB\n", "MemTotal:\nMemAvailable: many\n"])
def test_a_kernel_that_does_not_say_leaves_memory_to_psutil(text):
    assert machine.parse_meminfo(text) is None


def test_a_file_that_is_not_there_is_no_text(tmp_path):
    assert machine.read_text(str(tmp_path / "nowhere")) is None
    assert machine.read_text(str(tmp_path)) is None


def test_the_gil_is_asked_for_at_the_time_of_the_call(monkeypatch):
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    assert machine.gil_enabled() is False
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: True, raising=False)
    assert machine.gil_enabled() is True
    monkeypatch.delattr(sys, "_is_gil_enabled")
    assert machine.gil_enabled() is True
