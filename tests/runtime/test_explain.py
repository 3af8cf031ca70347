"""What explain measures, it measures without disturbing it."""

import allcores as ac
from allcores.runtime import explain as explaining


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
