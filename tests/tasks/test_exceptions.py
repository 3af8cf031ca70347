"""Exceptions come back as they were, or as the best that can be had."""

import email.message
import json
import os
import subprocess
import sys
import traceback
import urllib.error

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allcores.errors import RemoteError, RemoteTraceback
from allcores.tasks.exceptions import dump_error, load_error


class Custom(Exception):
    pass


class NeedsTwo(Exception):
    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")


class KeepsItsWay(NeedsTwo):
    def __reduce__(self):
        return KeepsItsWay, self.args


class ApiError(Exception):
    def __init__(self, code, text):
        super().__init__(f"{code}: {text}")
        self.code = code


class Doubled(Exception):
    def __init__(self, code):
        super().__init__(f"error {code}")


class Slotted(Exception):
    __slots__ = ("code",)

    def __init__(self, code, text):
        super().__init__("one")
        self.code = code


class Made(Exception):
    def __new__(cls, code, text):
        made = super().__new__(cls, code)
        made.text = text
        return made

    def __init__(self, code, text):
        super().__init__(code)


class Unopened(OSError):
    def __init__(self, path, *, number):
        super().__init__(number, "cannot be opened", path)
        self.path = path


class Undecoded(UnicodeDecodeError):
    def __init__(self, data):
        super().__init__("utf-8", data, 0, 1, "odd")


class Missing(ImportError):
    def __init__(self, name, extra):
        super().__init__(f"no {name}", name=name, path="/here")
        self.extra = extra


class Wrong(SyntaxError):
    def __init__(self, line, *, file):
        super().__init__("wrong", (file, line, 2, "text"))


class Left(SystemExit):
    def __init__(self, code, why):
        super().__init__(code)
        self.why = why


class Ended(StopIteration):
    def __init__(self, value, why):
        super().__init__(value)
        self.why = why


class Attribute(AttributeError):
    def __init__(self, name, obj):
        super().__init__(f"no {name}", name=name, obj=obj)


class Several(ExceptionGroup):
    def __new__(cls, code, errors):
        made = super().__new__(cls, f"code {code}", errors)
        made.code = code
        return made

    def __init__(self, code, errors):
        super().__init__(f"code {code}")


class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError


def caught(function):
    try:
        function()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def chained():
    try:
        try:
            raise KeyError("a")
        except KeyError as error:
            raise Custom("b") from error
    except Custom:
        raise ValueError("c")  # noqa: B904


def there_and_back(error, index=5):
    return load_error(dump_error(error), index)


def test_the_chain_is_kept_with_its_kinds_of_links():
    error = there_and_back(caught(chained))
    assert (type(error), error.args) == (ValueError, ("c",))
    assert type(error.__context__) is Custom
    assert type(error.__context__.__cause__) is KeyError
    assert type(error.__cause__) is RemoteTraceback
    text = str(error.__cause__)
    assert text.index("KeyError") < text.index("direct cause") < text.index("Custom: b")
    assert text.index("Custom: b") < text.index("During handling") < text.index("ValueError: c")


def test_what_was_suppressed_stays_so():
    def fail():
        try:
            raise KeyError("a")
        except KeyError:
            raise ValueError("b") from None

    error = there_and_back(caught(fail))
    assert type(error.__cause__) is RemoteTraceback
    assert "KeyError" not in str(error.__cause__)


def test_notes_and_attributes_are_kept_and_the_item_is_noted():
    error = Custom("x")
    error.code = 7
    error.add_note("mine")
    back = there_and_back(error)
    assert back.code == 7
    assert back.__notes__ == ["mine", "allcores: item 5"]


def test_what_cannot_be_rebuilt_is_told_in_words():
    back = there_and_back(caught(lambda: (_ for _ in ()).throw(KeepsItsWay(1, 2))))
    assert isinstance(back, RemoteError)
    assert back.type_name.endswith("KeepsItsWay")
    assert "1 and 2" in back.text
    assert back.index == 5
    assert "KeepsItsWay: 1 and 2" in str(back)


def test_one_link_that_cannot_be_rebuilt_spoils_no_other():
    error = ValueError("v")
    error.__cause__ = KeepsItsWay(1, 2)
    back = there_and_back(error)
    assert type(back) is ValueError
    assert isinstance(back.__cause__, RemoteError)
    assert type(back.__cause__.__cause__) is RemoteTraceback


def test_a_circle_of_causes_ends():
    first, second = ValueError(1), KeyError(2)
    first.__cause__, second.__cause__ = second, first
    back = there_and_back(first)
    assert type(back.__cause__) is KeyError


def test_an_exception_that_cannot_say_its_message_still_arrives():
    assert type(there_and_back(Unspeakable("x"))) is Unspeakable


def test_endless_tracebacks_are_shortened():
    def forever():
        forever()

    back = there_and_back(caught(forever))
    assert type(back) is RecursionError
    assert str(back.__cause__).count("\n") < 1000


def test_the_text_shows_the_lines_of_the_users_code():
    text = str(there_and_back(caught(chained)).__cause__)
    assert 'raise Custom("b") from error' in text
    assert "test_exceptions.py" in text


def test_groups_travel():
    group = ExceptionGroup("many", [ValueError(1), Custom("x")])
    back = there_and_back(group)
    assert [type(each) for each in back.exceptions] == [ValueError, Custom]


@given(st.text())
def test_any_message_arrives(message):
    back = there_and_back(Custom(message))
    assert back.args == (message,)
    assert traceback.format_exception(back)


FIELDS = (
    "errno",
    "strerror",
    "filename",
    "encoding",
    "object",
    "start",
    "reason",
    "name",
    "path",
    "msg",
    "lineno",
)


@pytest.mark.parametrize(
    "error",
    [
        ApiError(404, "gone"),
        Doubled(7),
        Slotted(1, 2),
        Made(1, 2),
        Unopened("/a", number=2),
        Undecoded(b"x"),
        Missing("m", 1),
        Wrong(3, file="f"),
        Left(3, "why"),
        Ended(3, "why"),
        Attribute("a", object()),
        subprocess.CalledProcessError(1, "x"),
        json.JSONDecodeError("m", "doc", 1),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_exception_needs_no_init_that_fits(error):
    error.add_note("mine")
    back = there_and_back(error)
    assert type(back) is type(error)
    assert (back.args, str(back)) == (error.args, str(error))
    assert back.__notes__ == ["mine", "allcores: item 5"]
    for name in (*vars(error), "code", "value", *FIELDS):
        if name != "__notes__":
            assert getattr(back, name, None) == getattr(error, name, None)
    assert traceback.format_exception(back)


def test_nor_do_those_within_others():
    group = Several(5, [ApiError(1, "a"), ExceptionGroup("b", [NeedsTwo(1, 2)])])
    for error in (group, ExceptionGroup("c", [group])):
        back = there_and_back(error)
        found = back.exceptions[0] if error is not group else back
        assert (type(found), found.code, found.message) == (Several, 5, "code 5")
        assert (type(found.exceptions[0]), found.exceptions[0].code) == (ApiError, 1)
        assert str(found.exceptions[1].exceptions[0]) == "1 and 2"
    back = there_and_back(ValueError(ApiError(1, "a")))
    assert back.args[0].code == 1


def test_an_http_error_arrives_without_its_body():
    with open(os.devnull, "rb") as body:
        error = urllib.error.HTTPError("http://a", 404, "gone", email.message.Message(), body)
        back = there_and_back(error)
        assert (type(back), back.code, back.url, str(back)) == (type(error), 404, "http://a", str(error))
        assert traceback.format_exception(back)


def test_with_tblib_installed_exceptions_arrive_as_they_do_without():
    """It registers a way to pickle every class of exceptions, with causes and tracebacks; distributed installs it."""
    code = """
import pytest
from tblib import pickling_support
pickling_support.install()
raise SystemExit(pytest.main(["-q", "-p", "no:cacheprovider", "-k", "not tblib", PATH]))
"""
    pytest.importorskip("tblib")
    done = subprocess.run(
        [sys.executable, "-c", code.replace("PATH", repr(__file__))],
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stdout
