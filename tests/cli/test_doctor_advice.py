import pytest

from allcores.cli.doctor_advice import advice, emulation

GIBIBYTE = 1 << 30

GOOD = {
    "machine": {
        "cores": 8,
        "visible_cores": 8,
        "affinity_cores": 8,
        "quota_cores": None,
        "memory_bytes": 32 * GIBIBYTE,
        "memory_limit_bytes": None,
        "available_bytes": 20 * GIBIBYTE,
    },
    "limits": {"open_files": 1024, "address_space_bytes": None},
    "python": {"version": "3.13.0", "version_info": [3, 13, 0], "debug_build": False, "emulation": None},
    "load": 0.3,
    "environment": {},
}


def changed(section, **values):
    return {**GOOD, section: {**GOOD[section], **values}}


def test_a_good_environment_needs_no_advice():
    assert advice(GOOD) == []


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (changed("machine", quota_cores=1.5, cores=2), "quota of 1.5 cores lies below the 8"),
        (changed("machine", affinity_cores=4, cores=4), "4 of 8 cores"),
        (changed("machine", cores=1), "One core"),
        (changed("machine", available_bytes=GIBIBYTE), "1024 MiB of memory are free for 8 workers"),
        (changed("limits", open_files=64), "ulimit -n"),
        (changed("limits", address_space_bytes=GIBIBYTE), "ulimit -v"),
        (changed("python", version="3.11.7", version_info=[3, 11, 7]), "Python 3.11.7"),
        (changed("python", debug_build=True), "debug build"),
        (changed("python", emulation="Rosetta"), "under Rosetta"),
        ({**GOOD, "load": 7.5}, "load 7.5 on 8 cores"),
        (changed("environment", OMP_NUM_THREADS="1"), "OMP_NUM_THREADS=1"),
        (changed("environment", OPENBLAS_CORETYPE="Haswell"), "another processor"),
        (changed("environment", PYTHONHASHSEED="0"), "PYTHONHASHSEED=0"),
        (changed("environment", PYTHONDEVMODE="1"), "PYTHONDEVMODE=1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_trouble_has_one_sentence_of_advice(report, words):
    (only,) = advice(report)
    assert words in only


def test_a_quota_above_the_cores_is_no_trouble():
    assert advice(changed("machine", quota_cores=16.0)) == []


def test_a_system_that_knows_no_load_and_no_limits_is_no_trouble():
    assert advice({**GOOD, "load": None, "limits": {}}) == []


@pytest.mark.parametrize(
    ("architecture", "cpuinfo", "kernel", "expected"),
    [
        ("x86_64", "vendor_id\t: GenuineIntel\n", "Linux version 6.8.0-45-generic", None),
        ("aarch64", "CPU implementer\t: 0x41\n", "Linux version 6.8.0", None),
        ("x86_64", "vendor_id\t: VirtualApple\n", "Linux version 6.6.32-linuxkit", "Rosetta"),
        ("x86_64", "CPU implementer\t: 0x61\n", "Linux version 6.6.32-linuxkit", "QEMU"),
        ("x86_64", "", "Linux version 4.4.0 (gVisor)", "gVisor"),
        ("x86_64", "", "Linux version 4.4.0-19041-Microsoft", "WSL 1"),
        ("x86_64", "", "Linux version 5.15.90.1-microsoft-standard-WSL2", None),
        ("arm64", "", "", None),
    ],
)
def test_emulation_is_recognised(architecture, cpuinfo, kernel, expected):
    found = emulation(architecture, cpuinfo, kernel)
    assert found is None if expected is None else str(found).startswith(expected)
