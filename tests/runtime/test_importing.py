"""An import inside an item is told from what the function itself does."""

import importlib
import sys
import threading

import pytest

import allcores as ac
from allcores.runtime.importing import is_importing, leads_to_an_import

LOOKS = """
import sys
from allcores.runtime.importing import leads_to_an_import
while_importing = leads_to_an_import(sys._getframe())
def afterwards():
    return leads_to_an_import(sys._getframe())
"""

CALLS = """
import sys
import allcores as ac
from allcores.runtime.importing import leads_to_an_import
inside = ac.map(lambda x: leads_to_an_import(sys._getframe()), [1], engine="inline")
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Makes a module of this text importable, under a name that nobody else has."""

    def make(text):
        name = f"module_{tmp_path.name}_{len(sys.modules)}"
        (tmp_path / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        return name

    monkeypatch.syspath_prepend(str(tmp_path))
    return make


def test_a_module_is_being_imported_while_its_top_level_runs_and_not_afterwards(module):
    looks = importlib.import_module(module(LOOKS))
    assert looks.while_importing
    assert not looks.afterwards()


def test_an_item_that_imports_is_seen(module):
    name = module(LOOKS)
    found = ac.map(lambda name: __import__(name).while_importing, [name], engine="inline")
    assert found == [True]


def test_a_call_at_the_top_of_a_module_that_is_imported_is_no_import_of_its_items(module):
    assert importlib.import_module(module(CALLS)).inside == [False]


def test_another_thread_is_looked_at_from_outside():
    asked, over = threading.Event(), threading.Event()

    def wait():
        asked.set()
        over.wait(30)

    thread = threading.Thread(target=wait)
    thread.start()
    assert asked.wait(30)
    assert not is_importing(thread.ident)
    over.set()
    thread.join()
    assert not is_importing(thread.ident)
    assert not leads_to_an_import(None)
