"""Every test of faults leaves its process as it found it."""

import os
import tempfile

import pytest

import allcores as ac

from .witness import traces, wait_for


@pytest.fixture(scope="module", params=["forks", "portable"])
def start(request):
    """How worker processes start."""
    ac.shutdown()
    before = os.environ.pop("ALLCORES_START", None)
    if request.param == "portable":
        os.environ["ALLCORES_START"] = "portable"
    yield request.param
    ac.shutdown()
    os.environ.pop("ALLCORES_START", None)
    if before is not None:
        os.environ["ALLCORES_START"] = before


@pytest.fixture(autouse=True)
def nothing_stays(tmp_path, monkeypatch, request):
    """No descendant, descriptor, memory or file stays once the workers have been let go."""
    files = tmp_path / "temporary"
    files.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(files))
    monkeypatch.setenv("TMPDIR", str(files))
    ac.map(abs, [1], engine="processes", n_jobs=1)  # whatever is opened once is open now
    ac.shutdown()
    before = traces(files)
    yield
    ac.shutdown()
    assert wait_for(lambda: traces(files).processes <= before.processes, 1.0), "processes stay"
    assert wait_for(lambda: traces(files).descriptors <= before.descriptors, 1.0), "descriptors stay"
    after = traces(files)
    assert after.memory <= before.memory
    assert after.shared <= before.shared
    assert after.files == before.files
