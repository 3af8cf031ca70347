"""The bar: counts settled items, knows the total where there is one, and closes however the job ends."""

import subprocess
import sys

import pytest

import allcores as ac

WAYS = [
    {"engine": "inline"},
    {"engine": "threads", "n_jobs": 2},
    {"engine": "processes", "n_jobs": 2},
    {},
]


@pytest.fixture
def bars(monkeypatch):
    """The bars that are made, as tqdm objects that draw nothing."""
    import tqdm.auto

    made = []

    class Silent(tqdm.auto.tqdm):
        closed = 0

        def __init__(self, **given):
            self.silent_total, self.silent_label = given["total"], given["desc"]
            self.seen = 0
            made.append(self)
            super().__init__(disable=True, **given)

        def update(self, n=1):
            self.seen += n

        def close(self):
            self.closed += 1

    monkeypatch.setattr(tqdm.auto, "tqdm", Silent)
    yield made
    for bar in made:
        tqdm.auto.tqdm._instances.discard(bar)


@pytest.mark.parametrize("options", WAYS, ids=str)
def test_a_map_counts_every_item_and_knows_how_many_there_are(options, bars):
    ac.map(abs, range(50), progress="absolute", **options)
    assert [(bar.seen, bar.silent_total, bar.silent_label, bar.closed) for bar in bars] == [
        (50, 50, "absolute", 1)
    ]


@pytest.mark.parametrize("options", WAYS, ids=str)
def test_the_bar_moves_while_the_job_runs(options, bars):
    results = iter(ac.par(range(50), progress=True, window=4, **options).map(abs))
    seen = []
    for _ in range(20):
        next(results)
        seen.append(bars[0].seen)
    results.close()
    assert seen == sorted(seen)
    assert 10 < seen[-1] <= 25


@pytest.mark.parametrize("options", WAYS, ids=str)
def test_streams_and_reductions_count_too_and_an_unknown_total_is_none(options, bars):
    assert list(ac.par((x for x in range(20)), progress=True, **options).map(abs)) == list(range(20))
    assert ac.par(range(30), progress=True, **options).map(abs).sum() == sum(range(30))
    assert [(bar.seen, bar.silent_total, bar.closed) for bar in bars] == [(20, None, 1), (30, 30, 1)]


@pytest.mark.parametrize("options", WAYS, ids=str)
def test_the_bar_closes_when_a_stream_is_left(options, bars):
    for _ in ac.par(range(1000), progress=True, **options).map(abs):
        break
    ac.par(range(1000), progress=True, **options).map(abs).first()
    assert [bar.closed for bar in bars] == [1, 1]


@pytest.mark.parametrize("options", WAYS, ids=str)
@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit])
def test_the_bar_closes_on_errors_and_interrupts(options, kind, bars):
    def fail(x):
        raise kind

    with pytest.raises(kind):
        ac.map(fail, range(10), progress=True, **options)
    assert [bar.closed for bar in bars] == [1]


def test_without_it_nothing_is_imported():
    code = "import sys, allcores as ac; ac.map(abs, [1]); ac.map(abs, [1], progress=False)\n"
    code += "print('tqdm' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_missing_tqdm_says_what_to_install_before_anything_runs(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    ran = []
    with pytest.raises(ImportError, match="run `pip install tqdm`, or leave progress out"):
        ac.map(ran.append, [1], progress=True)
    assert ran == []


def test_text_is_written_beside_the_bar_and_not_into_it(capsys):
    def speak(x):
        print(f"item {x}", file=sys.stderr)
        return x

    assert ac.map(speak, range(3), progress="work", engine="processes", n_jobs=2, chunksize=1) == [0, 1, 2]
    written = capsys.readouterr().err
    for x in range(3):
        before, said, _ = written.partition(f"item {x}\n")
        assert said
        assert before.endswith(("\r", "\n")), "the bar was taken off the line"
    assert written.rindex("work: 100%") > written.index("item 2")
