"""The caller's world travels: its process's settings, its modules' globals, and its code as it is now."""

import decimal
import importlib
import logging
import os
import sys
import textwrap
import warnings

import pytest

SETTINGS = """
    import pathlib, threading
    DEBUG = False
    LIMITS = {"most": 3, "names": ["a"]}
    HOME = pathlib.Path("before")
    LOCK = threading.Lock()
"""
HELPER = """
    from %(settings)s import LIMITS
    import %(settings)s as settings
    FACTOR = 2
    _state = None

    class Model:
        RATE = 1
        def step(self, x):
            return x * self.RATE

    def scale(x):
        return x * FACTOR

    def see():
        return settings.DEBUG, LIMITS["most"], str(settings.HOME), settings.LOCK.locked()

    def change_factor(value):
        global FACTOR
        FACTOR = value

    def remember(x):
        global _state
        _state = (_state or 0) + 1
        return x if _state else None
"""
WORK = """
    import %(helper)s as helper
    from %(helper)s import scale

    def see(x):
        return helper.see()

    def scaled(x):
        return scale(x), helper.scale(x), helper.FACTOR

    def stepped(x):
        return helper.Model().step(x)

    def sees_late(x):
        import %(settings)s as late
        return late.DEBUG

    def remembers(x):
        return helper.remember(x)
"""


class Project:
    """Modules of the user's, written for one test under names of their own."""

    def __init__(self, directory, name):
        self.directory = directory
        self.names = {part: f"{name}_{part}" for part in ("settings", "helper", "work")}

    def write(self, part, text):
        path = self.directory / f"{self.names[part]}.py"
        path.write_text(textwrap.dedent(text) % self.names)
        importlib.invalidate_caches()

    def load(self, part):
        return importlib.import_module(self.names[part])


@pytest.fixture
def project(way, tmp_path, monkeypatch, request):
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    name = f"{way.name}_{abs(hash(request.node.name))}"
    made = Project(tmp_path, name)
    made.write("settings", SETTINGS)
    made.write("helper", HELPER)
    made.write("work", WORK)
    yield made
    for part in made.names.values():
        sys.modules.pop(part, None)


def test_a_global_that_is_changed_between_calls_is_seen(way, project):
    settings, work = project.load("settings"), project.load("work")
    assert way.map(work.see, [0]) == [(False, 3, "before", False)]
    settings.DEBUG = True
    settings.LIMITS["most"] = 30
    settings.HOME = settings.HOME.with_name("after")
    assert way.map(work.see, [0]) == [(True, 30, "after", False)]
    settings.DEBUG = False
    assert way.map(work.see, [0]) == [(False, 30, "after", False)]


def test_a_global_that_was_changed_before_the_first_call_is_seen(way, project):
    project.load("settings").DEBUG = True
    assert way.map(project.load("work").see, [0])[0][0] is True


def test_a_global_is_seen_by_functions_of_the_program_and_by_lambdas(way, project):
    settings, work = project.load("settings"), project.load("work")
    for debug in (False, True):
        settings.DEBUG = debug
        assert way.map(lambda x: (settings.DEBUG, work.see(x)[0]), [0]) == [(debug, debug)]


def test_a_global_of_a_module_that_is_imported_inside_the_function_is_seen(way, project):
    settings, work = project.load("settings"), project.load("work")
    for debug in (False, True):
        settings.DEBUG = debug
        assert way.map(work.sees_late, [0]) == [debug]


def test_a_global_that_a_setter_changes_is_seen(way, project):
    helper, work = project.load("helper"), project.load("work")
    for factor in (2, 5):
        helper.change_factor(factor)
        assert way.map(work.scaled, [1]) == [(factor, factor, factor)]


def test_a_class_attribute_that_is_changed_is_seen(way, project):
    helper, work = project.load("helper"), project.load("work")
    for rate in (1, 7):
        helper.Model.RATE = rate
        assert way.map(work.stepped, [1]) == [rate]


def test_streams_and_reductions_see_changed_globals_too(way, project):
    settings, work = project.load("settings"), project.load("work")
    for debug in (False, True):
        settings.DEBUG = debug
        assert way.par(range(5)).map(work.see).map(lambda seen: int(seen[0])).sum() == 5 * debug


def test_a_function_that_was_replaced_is_the_new_one(way, project, monkeypatch):
    helper, work = project.load("helper"), project.load("work")
    assert way.map(work.scaled, [1]) == [(2, 2, 2)]
    offset = 100
    with monkeypatch.context() as patch:
        patch.setattr(helper, "scale", lambda x: x + offset)
        assert way.map(work.scaled, [1]) == [(2, 101, 2)]
        patch.setattr(work, "scale", helper.scale)
        assert way.map(work.scaled, [1]) == [(101, 101, 2)]
    assert way.map(work.scaled, [1]) == [(2, 2, 2)]


def test_a_method_that_was_replaced_is_the_new_one(way, project, monkeypatch):
    helper, work = project.load("helper"), project.load("work")
    assert way.map(work.stepped, [1]) == [1]
    with monkeypatch.context() as patch:
        patch.setattr(helper.Model, "step", lambda self, x: "replaced")
        assert way.map(work.stepped, [1]) == ["replaced"]
    assert way.map(work.stepped, [1]) == [1]


def test_a_module_that_was_edited_and_reloaded_below_the_function_is_never_stale(way, project):
    helper, work = project.load("helper"), project.load("work")
    assert way.map(work.scaled, [1]) == [(2, 2, 2)]
    project.write("helper", HELPER.replace("x * FACTOR", "x - FACTOR"))
    importlib.reload(helper)
    assert way.map(work.scaled, [1]) == [(2, -1, 2)]
    importlib.reload(work)
    assert way.map(work.scaled, [1]) == [(-1, -1, 2)]


def test_what_the_function_itself_assigns_stays_with_each_worker(way, project):
    helper, work = project.load("helper"), project.load("work")
    helper._state = -1  # the loop would see None after the first item
    assert way.map(work.remembers, range(5), n_jobs=1, chunksize=1, writes="allow")[-1] == 4


def test_the_rest_of_the_world_travels(way, tmp_path, monkeypatch):
    numpy = pytest.importorskip("numpy")
    monkeypatch.setenv("ALLCORES_TEST_GONE", "here")
    assert way.map(lambda x: os.environ.get("ALLCORES_TEST_GONE"), [0]) == ["here"]
    monkeypatch.delenv("ALLCORES_TEST_GONE")
    logger = logging.getLogger("allcores_test_world")
    monkeypatch.setattr(logger, "level", logging.NOTSET)
    logger.setLevel(logging.ERROR)

    def see(x):
        return (
            os.environ.get("ALLCORES_TEST_GONE"),
            os.getcwd(),
            [each[:3:2] for each in warnings.filters[:1]],
            decimal.getcontext().prec,
            numpy.geterr()["divide"],
            logging.getLogger("allcores_test_world").level,
            sys.get_int_max_str_digits(),
        )

    monkeypatch.chdir(tmp_path)
    digits = sys.get_int_max_str_digits()
    monkeypatch.setattr(warnings, "filters", list(warnings.filters))
    warnings.simplefilter("error", ResourceWarning)
    sys.set_int_max_str_digits(5000)
    try:
        with decimal.localcontext(prec=7), numpy.errstate(divide="raise"):
            here = see(0)
            assert way.map(see, range(2)) == [here] * 2
    finally:
        sys.set_int_max_str_digits(digits)
    assert here[0] is None
    assert here[3:] == (7, "raise", logging.ERROR, 5000)


def mode_of_a_new_file(path):
    os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o666))
    return oct(os.stat(path).st_mode & 0o777)


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="nowhere else can it be read without setting it"
)
def test_files_are_created_with_the_callers_umask(way, tmp_path):
    before = os.umask(0o027)
    try:
        assert way.map(mode_of_a_new_file, [tmp_path / "a", tmp_path / "b"]) == ["0o640"] * 2
        os.umask(0o077)
        assert way.map(mode_of_a_new_file, [tmp_path / "c", tmp_path / "d"]) == ["0o600"] * 2
    finally:
        os.umask(before)
