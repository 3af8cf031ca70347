"""What a worker writes into its words, the caller reads."""

import os

import pytest

from allcores.processes.words import LINE_WORDS, Words, above_standard


@pytest.fixture
def words():
    made = Words.create(3)
    yield made
    made.close()


def test_a_line_names_the_running_item_and_since_when(words):
    assert words.look(2) == (None, 0.0)
    words.view[2 * LINE_WORDS + 1] = 1_500_000_000
    words.view[2 * LINE_WORDS] = 8
    assert words.look(2) == (7, 1.5)
    assert words.look(1) == (None, 0.0)
    words.clear(2)
    assert words.look(2) == (None, 0.0)


def test_item_zero_is_not_nothing(words):
    words.view[LINE_WORDS] = 1
    assert words.look(1)[0] == 0


def test_cancelling_begins_a_new_epoch(words):
    assert words.epoch == 0
    words.cancel()
    assert words.epoch == words.view[0] == 1


def test_another_process_sees_the_same_words(words):
    other = Words(os.dup(words.handle))
    other.view[LINE_WORDS] = 43
    other.close()
    assert words.look(1)[0] == 42


def test_closing_twice_does_no_harm():
    made = Words.create(1)
    handle = made.handle
    made.close()
    made.close()
    with pytest.raises(OSError):
        os.fstat(handle)


def test_descriptors_are_moved_above_the_standard_ones():
    descriptor = os.open(os.devnull, os.O_RDONLY)
    assert above_standard(descriptor) == descriptor > 2
    os.close(descriptor)
