"""Rounds of 1,000 items under fire: a few here, all 200 by `python benchmarks/kill_rounds.py`."""

import os
from pathlib import Path

import pytest

ROUNDS = int(os.environ.get("ALLCORES_TEST_ROUNDS", "5"))


@pytest.fixture
def kill_rounds(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    import kill_rounds

    return kill_rounds


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_every_item_is_right_or_was_running_when_its_worker_was_killed(start, kill_rounds, seed, tmp_path):
    result = kill_rounds.play(seed, 3, start, str(tmp_path), retries=None)
    assert (result.wrong, result.innocent) == (0, 0)
    assert result.again_seconds <= kill_rounds.UNSENT_SECONDS


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_with_retries_every_list_is_right(start, kill_rounds, seed, tmp_path):
    result = kill_rounds.play(seed, 3, start, str(tmp_path), retries=3)
    assert (result.lost, result.wrong, result.innocent) == (0, 0, 0)
    assert result.again_seconds <= kill_rounds.UNSENT_SECONDS
