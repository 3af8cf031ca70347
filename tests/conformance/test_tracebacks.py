"""What a user reads when an item fails: the own frames with their source lines, and none of ours."""

import asyncio
import importlib.util
import operator
import os
import subprocess
import sys
import textwrap
import traceback

import pytest

import allcores as ac

HERE = os.path.abspath(__file__)
OURS = os.path.dirname(ac.__file__) + os.sep


def divide(x):
    return 1 / (x - 3)


def compute(x):
    return divide(x)


def compute_and_wrap(x):
    try:
        return divide(x)
    except ZeroDivisionError as error:
        raise LookupError("wrapped") from error


def printed(error):
    return "".join(traceback.format_exception(error))


def frames(error):
    """File and function of each frame in the local part of a traceback."""
    return [(each.filename, each.name) for each in traceback.extract_tb(error.__traceback__)]


def caught(call):
    try:
        call()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


ENDINGS = {
    "map": lambda way: way.map(compute, range(6)),
    "starmap": lambda way: way.starmap(compute, [(x,) for x in range(6)]),
    "collect": lambda way: way.par(range(6)).map(compute).collect(),
    "iteration": lambda way: list(way.par(range(6)).map(compute)),
    "filter": lambda way: list(way.par(range(6)).filter(compute)),
    "sum": lambda way: way.par(range(6)).map(compute).sum(),
    "first": lambda way: way.par(range(6)).map(compute).first(lambda value: value > 10),
    "any": lambda way: way.par(range(6)).any(lambda x: compute(x) > 10),
    "all": lambda way: way.par(range(6)).all(compute),
    "for_each": lambda way: way.par(range(6)).for_each(compute),
    "fold": lambda way: way.par(range(6)).fold(int, lambda total, x: total + compute(x), operator.add),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_no_frame_of_ours_and_every_frame_of_the_users(way, ending):
    error = caught(lambda: ENDINGS[ending](way))
    text = printed(error)
    assert isinstance(error, ZeroDivisionError)
    assert "return 1 / (x - 3)" in text
    assert "return divide(x)" in text
    assert OURS not in text
    assert {file for file, _ in frames(error)} <= {HERE, os.path.join(os.path.dirname(HERE), "conftest.py")}
    assert "allcores: item 3" in error.__notes__


async def await_and_compute(x):
    await asyncio.sleep(0)
    return compute(x)


async def amapped(function, **options):
    return await ac.amap(function, range(6), **options)


async def iterated(function, **options):
    return [y async for y in ac.par(range(6), **options).map(function)]


# In 3.11 a comprehension has a frame of its own.
COMPREHENSION = ["<listcomp>"] if sys.version_info < (3, 12) else []


@pytest.mark.parametrize(
    ("main", "waits"),
    [(amapped, ["amapped"]), (iterated, ["iterated", *COMPREHENSION])],
    ids=["amap", "async for"],
)
@pytest.mark.parametrize(
    ("engine", "function", "runs"),
    [
        ("asyncio", await_and_compute, ["await_and_compute", "compute", "divide"]),
        ("threads", compute, ["compute", "divide"]),
        ("inline", compute, ["compute", "divide"]),
        ("processes", compute, []),
    ],
    ids=["asyncio", "threads", "inline", "processes"],
)
def test_awaited_calls_show_none_either(main, waits, engine, function, runs):
    error = caught(lambda: asyncio.run(main(function, engine=engine)))
    assert [name for file, name in frames(error) if file == HERE] == ["caught", "<lambda>", *waits, *runs]
    assert f"allcores{os.sep}" not in printed(error).replace(HERE, "")
    assert "allcores: item 3" in error.__notes__


def test_the_text_of_an_error_from_a_worker():
    error = caught(lambda: ac.map(compute, range(6), engine="processes", n_jobs=2))
    line = compute.__code__.co_firstlineno
    remote, local = printed(error).split(
        "The above exception was the direct cause of the following exception:"
    )
    without_marks = [each for each in remote.splitlines() if set(each.strip()) - set("~^")]
    assert without_marks == [
        "allcores.errors.RemoteTraceback: ",
        "Traceback (most recent call last):",
        f'  File "{HERE}", line {line + 1}, in compute',
        "    return divide(x)",
        f'  File "{HERE}", line {line - 3}, in divide',
        "    return 1 / (x - 3)",
        "ZeroDivisionError: division by zero",
    ]
    assert local.endswith("ZeroDivisionError: division by zero\nallcores: item 3\n")


def test_the_users_own_cause_is_kept_and_the_remote_traceback_ends_the_chain(moving):
    error = caught(lambda: moving.map(compute_and_wrap, range(6)))
    assert isinstance(error, LookupError)
    assert isinstance(error.__cause__, ZeroDivisionError)
    assert type(error.__cause__.__cause__) is ac.errors.RemoteTraceback
    text = str(error.__cause__.__cause__)
    assert text.index("in divide") < text.index("direct cause") < text.index('raise LookupError("wrapped")')


def test_the_users_own_cause_is_kept_where_nothing_travels(staying):
    error = caught(lambda: staying.map(compute_and_wrap, range(6)))
    assert isinstance(error.__cause__, ZeroDivisionError)
    assert error.__cause__.__cause__ is None
    assert [name for _, name in frames(error)][-1] == "compute_and_wrap"


def test_a_returned_failure_shows_the_users_frames_too(way):
    failure = way.map(compute, range(6), on_error="return")[3]
    text = printed(failure.error)
    assert "return 1 / (x - 3)" in text
    assert OURS not in text


def test_nested_calls_show_the_frames_of_all_levels(way):
    def outer(x):
        return ac.map(compute, range(x))

    text = printed(caught(lambda: way.map(outer, range(6))))
    assert "return ac.map(compute, range(x))" in text
    assert "return 1 / (x - 3)" in text
    assert OURS not in text


def test_a_bad_option_points_at_the_users_line(way):
    error = caught(lambda: way.map(compute, range(6), chunksize=-1))
    assert {file for file, _ in frames(error)} <= {HERE, os.path.join(os.path.dirname(HERE), "conftest.py")}


def test_all_frames_are_shown_where_that_is_asked_for(way, monkeypatch):
    monkeypatch.setenv("ALLCORES_FULL_TRACEBACK", "1")
    error = caught(lambda: way.map(compute, range(6)))
    assert any(name == "settled" for _, name in frames(error))
    if way.moves:
        assert f"processes{os.sep}worker.py" in printed(error)


PROGRAM = """
import allcores as ac, traceback
def divide(x):
    return 1 / (x - 3)
try:
    ac.map(divide, range(6), engine="processes", n_jobs=2)
except ZeroDivisionError:
    traceback.print_exc()
"""


@pytest.mark.parametrize("how", ["script", "stdin", "ipython"])
def test_programs_show_the_lines_that_python_itself_would_show(how, tmp_path):
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(PROGRAM))
    command, given = [sys.executable, str(path)], None
    if how == "stdin":
        command, given = [sys.executable, "-"], PROGRAM
    elif how == "ipython":
        if importlib.util.find_spec("IPython") is None:
            pytest.skip("IPython is not installed")
        cells = "from IPython.core.interactiveshell import InteractiveShell\n"
        cells += f"InteractiveShell.instance().run_cell({PROGRAM!r})"
        command = [sys.executable, "-c", cells]
    environ = {**os.environ, "IPYTHONDIR": str(tmp_path)}
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=50, env=environ)
    remote = done.stderr.partition("direct cause")[0]
    assert "in divide" in remote
    assert f"allcores{os.sep}" not in done.stderr
    assert ("return 1 / (x - 3)" in remote) == (how != "stdin")  # nobody keeps what came through a pipe
