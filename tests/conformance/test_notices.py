"""What items log and warn of reaches the caller's own handlers and filters, as if the loop had run them."""

import contextlib
import importlib
import io
import logging
import os
import subprocess
import sys
import threading
import warnings

import pytest

from allcores.tasks import notices

LOG = logging.getLogger("conformance.notices")


class Kept(logging.Handler):
    """Keeps what it is told in a list."""

    def __init__(self, told, level=logging.NOTSET):
        super().__init__(level)
        self.told = told

    def emit(self, record):
        self.told.append(self.format(record))


@contextlib.contextmanager
def kept_by(logger, told, level=logging.INFO, **options):
    handler, before = Kept(told, **options), (logger.level, logger.propagate)
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        yield handler
    finally:
        logger.removeHandler(handler)
        logger.level, logger.propagate = before
        logging.root.manager._clear_cache()


def log_twice(x):
    LOG.info("first of %d", x)
    LOG.debug("too fine")
    LOG.warning("second of %d", x)
    return x


def test_every_record_reaches_the_callers_handlers_once(way):
    told = []
    with kept_by(LOG, told):
        assert way.map(log_twice, range(60)) == list(range(60))
    assert sorted(told) == sorted(f"{which} of {x}" for x in range(60) for which in ("first", "second"))


def test_records_of_an_item_come_right_before_its_result(moving):
    told = []
    with kept_by(LOG, told):
        for x in moving.par(range(30), chunksize=5).map(log_twice):
            told.append(x)
    assert told == [each for x in range(30) for each in (f"first of {x}", f"second of {x}", x)]


def log_and_print(x):
    print("one", x)
    LOG.info("two %d", x)
    os.write(2, b"three\n")
    LOG.info("four %d", x)
    print("five", x, file=sys.stderr)


def test_records_stand_where_they_were_written_between_what_is_printed(moving):
    both = io.StringIO()
    told = type("Told", (list,), {"append": lambda self, text: both.write(text + "\n")})()
    with contextlib.redirect_stdout(both), contextlib.redirect_stderr(both), kept_by(LOG, told):
        moving.map(log_and_print, range(10))
    assert both.getvalue() == "".join(f"one {x}\ntwo {x}\nthree\nfour {x}\nfive {x}\n" for x in range(10))


def log_much(x):
    try:
        raise KeyError(x)
    except KeyError:
        LOG.exception("failed %s", [x], extra={"shelf": x, "lock": threading.Lock()}, stack_info=True)


def test_a_record_keeps_its_place_its_traceback_and_what_was_added_to_it(moving):
    told = []
    with kept_by(LOG, told) as handler:
        handler.emit = told.append
        moving.map(log_much, range(3))
    assert [record.getMessage() for record in told] == [f"failed [{x}]" for x in range(3)]
    for x, record in enumerate(told):
        assert (record.name, record.levelname, record.funcName) == (LOG.name, "ERROR", "log_much")
        assert record.lineno == log_much.__code__.co_firstlineno + 4
        assert record.filename == os.path.basename(__file__)
        assert record.process != os.getpid()
        text = logging.Formatter().format(record)
        assert f"KeyError: {x}" in text
        assert "in log_much" in record.stack_info
        assert record.shelf == x
        assert record.lock.startswith("<unlocked")


def test_the_callers_levels_filters_and_propagation_hold(moving):
    told, above = [], []
    with kept_by(logging.root, above), kept_by(LOG, told) as handler:
        handler.setLevel(logging.WARNING)
        handler.addFilter(lambda record: "3" not in record.getMessage())
        LOG.propagate = False
        moving.map(log_twice, range(5))
        LOG.propagate = True
        assert (told, above) == ([f"second of {x}" for x in (0, 1, 2, 4)], [])
        moving.map(log_twice, range(1))
        assert above == ["first of 0", "second of 0"]


def log_by_its_own_handler(path, x):
    if not LOG.handlers:
        LOG.addHandler(logging.FileHandler(path))
    LOG.info("row %d", x)


def test_handlers_that_an_item_installs_are_kept_and_no_line_is_doubled(moving, tmp_path):
    told = []
    with kept_by(logging.root, told):
        moving.map(log_by_its_own_handler, [str(tmp_path / "own.log")] * 8, range(8))
    assert sorted((tmp_path / "own.log").read_text().splitlines()) == [f"row {x}" for x in range(8)]
    assert told == [f"row {x}" for x in range(8)]


def log_by_its_own_file(path, x):
    if not any(isinstance(each, logging.FileHandler) for each in LOG.handlers):
        LOG.addHandler(logging.FileHandler(path))
    LOG.info("row %d", x)


def test_where_worker_and_caller_have_the_same_handler_no_line_is_doubled_either(moving, tmp_path):
    told, path = [], tmp_path / "own.log"
    with kept_by(logging.root, told):
        log_by_its_own_file(str(path), 0)
        try:
            moving.map(log_by_its_own_file, [str(path)] * 8, range(1, 9))
        finally:
            LOG.handlers.pop().close()
    assert sorted(path.read_text().splitlines()) == [f"row {x}" for x in range(9)]
    assert told == [f"row {x}" for x in range(9)]


def configure_and_log(path, x):
    logging.basicConfig(filename=path, level=logging.INFO, format="%(message)s")
    logging.info("row %d", x)


def test_basic_config_inside_an_item_works(moving, tmp_path, monkeypatch):
    monkeypatch.setattr(logging.root, "handlers", [])
    moving.map(configure_and_log, [str(tmp_path / "own.log")] * 8, range(8))
    assert sorted((tmp_path / "own.log").read_text().splitlines()) == [f"row {x}" for x in range(8)]


def test_handlers_that_a_module_installs_when_it_is_imported_write_each_line_once(way, tmp_path, monkeypatch):
    (tmp_path / "installing.py").write_text(
        "import logging\n"
        "log = logging.getLogger('conformance.installing')\n"
        "log.propagate = False\n"
        "log.setLevel('INFO')\n"
        f"log.addHandler(logging.FileHandler({str(tmp_path / 'module.log')!r}))\n"
        "def f(x):\n"
        "    log.info('row %d', x)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("installing", None)
    module = importlib.import_module("installing")
    try:
        way.map(module.f, range(20))
    finally:
        for handler in module.log.handlers[:]:
            handler.close()
            module.log.removeHandler(handler)
        del sys.modules["installing"]
    rows = (tmp_path / "module.log").read_text().splitlines()
    assert sorted(rows) == sorted(f"row {x}" for x in range(20))
    if way.moves:
        assert rows == [f"row {x}" for x in range(20)]


def test_what_setup_logs_and_warns_of_arrives(moving):
    def setup():
        LOG.info("set up")
        warnings.warn("set up with care", stacklevel=1)

    def use(x, state):
        return x

    told = []
    with kept_by(LOG, told), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        moving.map(use, range(2), setup=setup, n_jobs=1)
    assert told == ["set up"]
    assert [str(each.message) for each in caught] == ["set up with care"]


def log_wrongly(x):
    LOG.info("%d", "no number")
    return x


def test_a_record_whose_arguments_do_not_fit_fails_no_item(moving, capsys):
    with kept_by(LOG, []):
        assert moving.map(log_wrongly, range(2)) == [0, 1]
    assert capsys.readouterr().err.count("--- Logging error ---") == 2


def fork_and_log(x):
    child = os.fork()
    if child == 0:
        LOG.error("of the fork")
        os._exit(0)
    os.waitpid(child, 0)
    LOG.info("of the item")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_what_a_fork_of_the_worker_logs_is_printed(moving, capfd):
    told = []
    with kept_by(LOG, told):
        moving.map(fork_and_log, range(1))
    assert told == ["of the item"]
    assert capfd.readouterr().err == "of the fork\n"


def run(tmp_path, text):
    path = tmp_path / "program.py"
    path.write_text("import sys\nimport allcores as ac\n" + text)
    done = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, timeout=50, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    return done


def test_a_worker_loads_logging_only_where_the_caller_logs(moving, tmp_path):
    program = 'print(ac.map(lambda _: "logging" in sys.modules, [0], engine="processes", n_jobs=1))\n'
    assert run(tmp_path, program).stdout == "[False]\n"
    configured = 'import logging\nlogging.basicConfig(filename="a.log")\n'
    assert run(tmp_path, configured + program).stdout == "[True]\n"


def test_no_row_of_a_log_file_is_lost_with_auto(tmp_path):
    text = """
import logging, time
logging.basicConfig(filename="a.log", level=logging.INFO, format="%(message)s")
def f(i):
    until = time.perf_counter() + 0.01
    while time.perf_counter() < until:
        pass
    logging.info("row %d", i)
ac.map(f, range(60))
"""
    run(tmp_path, text)
    rows = [row for row in (tmp_path / "a.log").read_text().splitlines() if row.startswith("row")]
    assert sorted(rows) == sorted(f"row {x}" for x in range(60))


# -- warnings -----------------------------------------------------------------------------------------


class Careful(UserWarning):
    """Has more than a text."""

    def __init__(self, text, row):
        super().__init__(text)
        self.row = row

    def __reduce__(self):
        return Careful, (self.args[0], self.row)


def warn_of_itself(x):
    warnings.warn(f"row {x}", RuntimeWarning, stacklevel=1)
    return x


def warn_of_the_same(x):
    warnings.warn("the same", stacklevel=1)
    return x


def caught(call, action="always", **options):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter(action, **options)
        call()
    return [(str(each.message), each.category, each.filename, each.lineno) for each in found]


def test_every_warning_is_recorded_where_the_loop_records_it(way):
    expected = caught(lambda: [warn_of_itself(x) for x in range(60)])
    assert len(expected) == 60
    assert sorted(caught(lambda: way.map(warn_of_itself, range(60)))) == sorted(
        expected, key=lambda each: each[0]
    )


@pytest.mark.parametrize("action", ["default", "module", "once", "ignore"])
def test_filters_hold_across_all_workers_as_in_the_loop(way, action):
    expected = caught(lambda: [warn_of_the_same(x) for x in range(20)], action)
    assert len(expected) == (action != "ignore")
    for _ in range(2):  # workers are warm
        warnings.onceregistry.clear()
        assert caught(lambda: way.map(warn_of_the_same, range(20)), action) == expected


def test_filters_that_name_a_module_hold(moving):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        moving.map(warn_of_the_same, range(2))
        warnings.filterwarnings("ignore", module=__name__.replace(".", r"\."))
        moving.map(warn_of_the_same, range(2))
    assert len(found) == 2


def test_a_filter_that_makes_errors_raises_inside_the_item(way):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = way.map(warn_of_itself, range(3), on_error="return")
    assert [type(each.error) for each in results] == [RuntimeWarning] * 3


def warn_carefully(x):
    class Local(FutureWarning):
        pass

    warnings.warn(Careful(f"row {x}", x), stacklevel=1)
    warnings.warn("local", Local, stacklevel=1)
    held = DeprecationWarning("held")
    held.lock = threading.Lock()
    warnings.warn(held, stacklevel=1)


def test_warnings_arrive_as_what_they_are_or_as_their_text(moving):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        moving.map(warn_carefully, range(2))
    assert [each.message.row for each in found[::3]] == [0, 1]
    assert [(type(each.message), str(each.message)) for each in found[1::3]] == [(FutureWarning, "local")] * 2
    assert [(each.category, str(each.message)) for each in found[2::3]] == [(DeprecationWarning, "held")] * 2


def test_warnings_come_right_before_the_result_of_their_item(moving):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        for x in moving.par(range(5)).map(warn_of_itself):
            found.append(x)
    assert [str(getattr(each, "message", each)) for each in found] == [
        each for x in range(5) for each in (f"row {x}", f"{x}")
    ]


def warn_inside(x):
    with warnings.catch_warnings(record=True) as own:
        warnings.simplefilter("always")
        warnings.warn("kept", stacklevel=1)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("shown", stacklevel=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.warn("ignored", stacklevel=1)
    return len(own)


@pytest.mark.parametrize("action", ["ignore", "error", "always"])
def test_what_an_item_decides_about_its_warnings_holds(moving, action):
    own = []
    found = caught(lambda: own.extend(moving.map(warn_inside, range(3))), action)
    assert [text for text, *_ in found] == ["shown"] * 3
    assert own == [1, 1, 1]


def test_warnings_of_compiled_code_arrive(moving):
    numpy = pytest.importorskip("numpy")

    def divide(x):
        return float(numpy.float64(x) / numpy.float64(0))

    found = caught(lambda: moving.map(divide, range(1, 4)))
    assert [category for _, category, *_ in found] == [RuntimeWarning] * 3


def test_a_notice_that_cannot_be_opened_here_is_told_as_text():
    warning = notices.dumps(("text", b"nonsense", b"nonsense", "file.py", 3, "no.module", False), 5)
    assert caught(lambda: notices.deliver(notices.WARNED, warning)) == [("text", UserWarning, "file.py", 3)]


def test_nothing_of_ours_stays_in_the_callers_logging_and_warnings(way):
    before = logging.Logger.callHandlers, warnings._showwarnmsg_impl, warnings.showwarning
    with kept_by(LOG, []):
        way.map(log_twice, range(3))
    assert (logging.Logger.callHandlers, warnings._showwarnmsg_impl, warnings.showwarning) == before
