"""Every test of faults leaves its process as it found it."""

import tempfile

import pytest

import allcores as ac
from starting import STARTS, workers_start_by

from . import witness
from .witness import traces, wait_for


@pytest.fixture(scope="module", params=STARTS)
def start(request):
    """How worker processes start."""
    with workers_start_by(request.param):
        yield request.param


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


@pytest.fixture
def program(tmp_path_factory, start):
    """Starts a program, and sees to it that nothing of it stays."""
    started = []
    directory = tmp_path_factory.mktemp("p")  # a short name: paths of sockets may have 108 characters

    def begin(text, *arguments):
        started.append(witness.Program(text, directory, start, arguments))
        return started[-1]

    yield begin
    for each in started:
        each.note_family()
        each.kill_all()
        for pid in each.left():
            witness.strike(pid)
        each.process.communicate()
