"""The probe of the GIL, and that a plan which is only explained rests on it as well."""

import contextlib
import hashlib
import time

import allcores as ac
from allcores.runtime import lateness
from allcores.runtime.lateness import Lateness, Probing

PATIENCE_SECONDS = 20.0
DATA = bytes(20_000_000)


def hashed(x):
    return hashlib.sha256(DATA).hexdigest()


def test_an_item_that_ends_before_patience_does_says_nothing(monkeypatch):
    monkeypatch.setattr(lateness, "COLD_PATIENCE_SECONDS", 1000.0)
    with Probing(nothing_known=False) as probe:
        pass
    assert probe.share is None


def test_an_item_that_goes_on_is_probed():
    give_up = time.monotonic() + PATIENCE_SECONDS
    with Probing(nothing_known=True) as probe:
        while probe.share is None and time.monotonic() < give_up:
            pass
    assert 0.0 <= probe.share <= 1.0


def test_explain_sees_that_others_can_compute_beside_an_item_as_map_does():
    assert "the GIL (others were kept from it for" in str(ac.explain(hashed, range(500), n_jobs=2))


def probed(monkeypatch, *seconds):
    """What probes find out that take so long each."""
    now, took = [0.0], iter(seconds)

    def sleep(_):
        now[0] += next(took)

    monkeypatch.setattr(lateness.RunDelay, "seconds", lambda self: 0.0)
    monkeypatch.setattr(lateness.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(lateness.time, "sleep", sleep)
    with contextlib.closing(Lateness()) as found:
        for _ in seconds:
            found.probe()
    return found


def test_one_stall_of_the_machine_does_not_look_like_a_held_lock(monkeypatch):
    assert probed(monkeypatch, 0.005).doubtful
    found = probed(monkeypatch, 0.005, 0.0006, 0.0006)
    assert not found.doubtful
    assert found.share == 0.0


def test_a_held_lock_shows_in_every_probe(monkeypatch):
    assert probed(monkeypatch, 0.0055, 0.0055, 0.0055).share > 0.8
    assert not probed(monkeypatch, 0.0006).doubtful
