import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from allcores.cli import demo, demo_report, demo_round, demo_rows
from allcores.cli.screen import PlainScreen
from allcores.guard.things import is_users_file
from allcores.runtime import machine

pytestmark = pytest.mark.alone

SECONDS = ("serial_seconds", "cold_seconds", "warm_seconds")
GAINS = ("cold_gain", "warm_gain", "best_gain")


class Ran(NamedTuple):
    """What a run of the command left behind."""

    exit_code: int
    text: str
    complaints: str
    report: dict[str, Any]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The whole demo on small inputs: every row runs for real, once for all tests of this module."""
    file = tmp_path_factory.mktemp("demo") / "demo.json"
    command = [sys.executable, "-m", "allcores", "demo", "--quick", "--json", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return Ran(done.returncode, done.stdout, done.stderr, json.loads(file.read_text(encoding="utf-8")))


@pytest.mark.timeout(300)
def test_every_row_gives_the_answer_of_the_loop(ran):
    assert ran.exit_code == 0, ran.text + ran.complaints
    assert [row["name"] for row in ran.report["rows"]] == [row.name for row in demo_rows.ROWS]
    assert all(row["same_answer"] for row in ran.report["rows"]), ran.text


@pytest.mark.timeout(300)
def test_nothing_is_said_on_standard_error(ran):
    assert ran.complaints == ""
    assert [sample["stderr"] for row in ran.report["rows"] for sample in row["samples"]] == [""] * len(
        demo_rows.ROWS
    )


@pytest.mark.timeout(300)
def test_the_report_holds_what_the_table_shows(ran):
    for row in ran.report["rows"]:
        assert all(row[name] > 0 for name in SECONDS)
        assert all(row[name] > 0 for name in GAINS)
        assert row["engine"] in ("inline", "threads", "processes")
        assert row["reasons"]
        assert row["title"] in ran.text
    assert ran.report["machine"]["cores"] == machine.cpu_count()
    assert ran.report["quick"] is True


@pytest.mark.timeout(300)
def test_progress_is_plain_lines_where_nobody_watches(ran):
    assert "round 1 of 1 ..." in ran.text
    assert "\x1b" not in ran.text


@pytest.mark.timeout(300)
def test_the_tiny_loop_stays_inline(ran):
    assert ran.report["rows"][-1]["engine"] == "inline"
    assert ran.report["rows"][-1]["as_expected"]


@pytest.mark.timeout(300)
def test_requests_that_wait_do_not_wait_for_each_other(ran):
    (requests,) = (row for row in ran.report["rows"] if row["name"] == "requests")
    assert requests["engine"] != "inline"


def drawn(_item):
    """A function whose answer is never twice the same."""
    return random.SystemRandom().random()


def test_an_answer_that_differs_from_the_loops_is_noticed():
    found = demo_round.compare(demo_rows.Case(drawn, [1, 2, 3]))
    assert found["same_answer"] is False


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ([{"same_answer": True}], 0),
        ([{"same_answer": True}, {"same_answer": False}], 1),
        ([{"same_answer": True}, {"error": "ended with status 1"}], 1),
        ([{"same_answer": True}, {"skipped": "needs sklearn"}], 0),
    ],
)
def test_the_exit_code_is_one_if_any_row_differs_or_fails(findings, expected):
    assert demo.exit_code(findings) == expected


def test_troubles_are_told_under_the_table():
    rows = [
        {"name": "a", "skipped": "needs sklearn"},
        {"name": "b", "error": "no answer"},
    ]
    text = "\n".join(demo_report.lines({"rows": rows, "quick": False, "seconds": 1.0}))
    assert "a: skipped, needs sklearn" in text
    assert "b: FAILED, no answer" in text


def test_a_row_that_is_slower_than_the_loop_is_told():
    row = {
        "name": "c",
        "same_answer": False,
        "slower": ["cold"],
        "as_expected": False,
        "samples": [{"stderr": "first\nlast\n"}, {"stderr": ""}],
    }
    assert list(demo_report._trouble(row)) == [
        "c: the answer DIFFERS from the loop's: please report this",
        "c: slower than the loop when cold",
        "c: was expected to stay inline",
        "c: 2 lines on standard error, the last one: last",
    ]


def in_moods(share):
    """Rounds of a machine with moods, in which warm calls take this share of the loop beside them."""
    return [
        {
            "first_serial_seconds": mood,
            "cold_seconds": mood,
            "serial_seconds": mood,
            "warm_seconds": share * mood,
        }
        for mood in (1.0, 2.0, 1.5)
    ]


def test_a_call_is_compared_with_the_loop_of_its_own_round():
    assert demo.slower(in_moods(1.02), 1.5, 1.5) == []
    assert demo.slower(in_moods(1.02), 1.5, 1.2) == ["warm"]  # with all BLAS threads the loop is faster
    assert demo.slower(in_moods(1.1), 1.5, 1.5) == ["warm"]


def test_a_long_row_that_looks_slower_than_the_loop_gets_a_second_round():
    assert demo.enough(in_moods(1.0)[:1], None, 60.0)
    assert not demo.enough(in_moods(1.0)[:1], None, 1.0)
    assert not demo.enough(in_moods(1.2)[:1], None, 60.0)
    assert demo.enough(in_moods(1.2)[:2], None, 60.0)
    assert demo.enough(in_moods(1.2), None, 1.0)
    assert not demo.enough(in_moods(1.0), 5, 60.0)


def test_a_row_that_does_not_exist_is_refused_with_the_names_that_do(capsys):
    assert demo.run(quick=True, rounds=None, names=["nonsense"], json_path=None) == 2
    assert "tiny" in capsys.readouterr().out


def test_chosen_rows_are_the_only_ones(tmp_path):
    file = tmp_path / "demo.json"
    assert demo.run(quick=True, rounds=2, names=["tiny"], json_path=str(file)) == 0
    (row,) = json.loads(file.read_text(encoding="utf-8"))["rows"]
    assert row["name"] == "tiny"
    assert len(row["samples"]) == 2


def test_the_server_of_the_requests_ends_with_its_row():
    with demo_rows.requests(True) as case:
        port = case.function.args[0]
        assert case.function(case.items[0]) == "this is /page/0"
    with pytest.raises(ConnectionRefusedError):
        demo_rows.fetch(port, "/")


def test_a_round_that_cannot_run_says_why(tmp_path):
    stage = demo.Stage(str(tmp_path), True, 1, 1, PlainScreen())
    with pytest.raises(demo.RoundFailed, match="No module named 'demo_rows'"):
        demo._child(demo_rows.ROWS[0], "round", stage)


def test_the_rows_are_read_like_a_users_module():
    with demo._home() as home:
        assert is_users_file(str(Path(home, "demo_rows.py")))
    assert not is_users_file(demo_rows.__file__)
    assert not Path(home).exists()
