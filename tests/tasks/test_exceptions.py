"""Exceptions come back as they were, or as the best that can be had."""

import traceback

from hypothesis import given
from hypothesis import strategies as st

from allcores.errors import RemoteError, RemoteTraceback
from allcores.tasks.exceptions import dump_error, load_error


class Custom(Exception):
    pass


class NeedsTwo(Exception):
    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")


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
    back = there_and_back(caught(lambda: (_ for _ in ()).throw(NeedsTwo(1, 2))))
    assert isinstance(back, RemoteError)
    assert back.type_name.endswith("NeedsTwo")
    assert "1 and 2" in back.text
    assert back.index == 5
    assert "NeedsTwo: 1 and 2" in str(back)


def test_one_link_that_cannot_be_rebuilt_spoils_no_other():
    error = ValueError("v")
    error.__cause__ = NeedsTwo(1, 2)
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
