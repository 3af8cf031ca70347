"""What explain measures, it measures without disturbing it."""

import time

import allcores as ac
from allcores.runtime import explain as explaining
from allcores.runtime.planner import Planner


def watched(monkeypatch):
    """How often a probe of the GIL has been made."""
    made = []
    probing = explaining.Probing

    def counted(**options):
        made.append(options)
        return probing(**options)

    monkeypatch.setattr(explaining, "Probing", counted)
    return made


def test_after_a_short_item_no_probe_slows_the_next_ones_down(monkeypatch):
    made = watched(monkeypatch)
    monkeypatch.setattr(explaining, "WORTH_A_PROBE_SECONDS", 60.0)  # so every item is a short one
    ac.explain(abs, range(100))
    assert made == [{"nothing_known": True}]


def test_long_items_are_probed_each(monkeypatch):
    made = watched(monkeypatch)
    monkeypatch.setattr(explaining, "WORTH_A_PROBE_SECONDS", 0.0)
    ac.explain(abs, range(100))
    assert len(made) == 3


def test_what_running_an_item_takes_in_itself_is_no_part_of_its_cost(monkeypatch):
    monkeypatch.setattr(
        explaining, "_run", lambda task, first, items: (RUN(task, first, items)[0], 5e-6, 5e-6)
    )
    plan = ac.explain(abs, range(1_000_000))
    assert plan.seconds["inline"] < 0.1  # and not 5 s


RUN = explaining._run


def test_a_probe_is_not_taken_for_a_thread_of_a_library_that_computes(monkeypatch):
    computed = []
    observe = Planner.observe

    def noted(planner, items, outcomes, seconds, cpu_seconds):
        computed.append(planner._at_work(seconds, cpu_seconds, over=False)[1])
        observe(planner, items, outcomes, seconds, cpu_seconds)

    monkeypatch.setattr(Planner, "observe", noted)
    assert ac.explain(lambda x: time.sleep(0.01), range(100)).engine == "threads"
    assert len(computed) == 3
    assert sum(computed) < 0.002


def test_what_map_would_refuse_is_not_run():
    ran = []

    def function(x):
        ran.append(x)

    plan = ac.explain(function, range(50), writes="error")
    assert ran == []
    assert "writes='error' refuses this" in plan.reasons[0]
    assert "ran.append" in plan.reasons[0]
