"""A world is taken down as it is, and the same world always as the same bytes."""

import pickle
import sys
import warnings

from allcores.tasks import world


def test_equal_worlds_are_equal_bytes():
    assert world.capture() == world.capture()


def test_a_change_of_the_world_is_seen(monkeypatch):
    before = world.capture()
    monkeypatch.setenv("ALLCORES_TEST", "1")
    after = world.capture()
    assert after != before
    monkeypatch.syspath_prepend("/nowhere")
    assert world.capture() != after


def test_defaults_of_libraries_are_not_sent():
    described = pickle.loads(world.capture())
    assert "decimal" not in described or "decimal" in sys.modules


def test_filters_of_warnings_are_described_without_objects():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="noisy.*", category=UserWarning, module="some.where")
        described = world._warning_filters()
        assert described[0][:6] == (
            "ignore",
            "noisy.*",
            described[0][2],
            "builtins",
            "UserWarning",
            "some.where",
        )
        before = list(warnings.filters)
        warnings.simplefilter("error")
        world._apply_warnings(described)
        assert list(warnings.filters) == before


def test_categories_that_are_not_there_are_left_out():
    assert world._category("no.such.module", "Warning") is None
    assert world._category("builtins", "UserWarning") is UserWarning
    assert world._category("builtins", "int") is None


def test_import_hooks_beyond_the_usual_ask_for_site(monkeypatch):
    class Finder:
        pass

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    assert pickle.loads(world.capture())["site"] in (False, True)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    assert pickle.loads(world.capture())["site"] is True
