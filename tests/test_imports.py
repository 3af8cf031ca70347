"""What is loaded when: importing takes little, and a loop that stays where it is loads nothing that it does not use."""

import subprocess
import sys

import pytest

HEAVY = (
    "typing",
    "re",
    "numpy",
    "cloudpickle",
    "psutil",
    "threadpoolctl",
    "tqdm",
    "asyncio",
    "logging",
    "inspect",
)


def loaded_by(code):
    """The modules that this code adds to those of a bare interpreter."""
    program = f"import sys\nbefore = set(sys.modules)\n{code}\nprint(*sorted(set(sys.modules) - before))"
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


def test_importing_allcores_loads_no_heavy_module():
    loaded = loaded_by("import allcores")
    assert "allcores.runtime.caller" in loaded
    assert not loaded.intersection(HEAVY)


@pytest.mark.alone
def test_a_cheap_loop_loads_nothing_that_starts_or_feeds_workers():
    loaded = loaded_by(
        "import allcores as ac\nassert ac.map(abs, range(4)) == [0, 1, 2, 3]\n"
        "assert ac.par(range(4)).map(abs).sum() == 6"
    )
    assert not {name for name in loaded if name.startswith(("allcores.processes.p", "allcores.engines"))} - {
        "allcores.processes.presence"
    }
    assert not loaded.intersection((*HEAVY, "_pickle", "pickle", "socket", "subprocess"))


def test_threads_for_items_that_wait_load_no_heavy_module():
    loaded = loaded_by(
        "import time\nimport allcores as ac\n"
        "assert ac.map(lambda x: time.sleep(0.02), range(100)) == [None] * 100"
    )
    assert {"allcores.engines.threads", "allcores.guard.verdict"} <= loaded
    assert not loaded.intersection({*HEAVY, "_pickle", "pickle", "socket", "subprocess"})


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("Pool", "allcores.map"),
        ("Parallel", "allcores.map"),
        ("delayed", "allcores.map"),
        ("Client", "allcores.Executor"),
    ],
)
def test_what_other_libraries_call_it_is_answered_with_what_to_write_here(name, instead):
    import allcores

    with pytest.raises(AttributeError, match=f"has no attribute '{name}'; write {instead}"):
        getattr(allcores, name)
    assert not hasattr(allcores, "nothing_like_it")
