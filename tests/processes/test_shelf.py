"""What is on the shelf is the same for all who take it, and what each of them writes is his own."""

import os

from hypothesis import given, settings
from hypothesis import strategies as st

from allcores.processes import mail, shelf
from allcores.processes.words import Words

CONTENTS = st.lists(st.binary(min_size=1, max_size=20_000), min_size=1, max_size=4)
WRITES = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 3), st.integers(0, 1 << 20), st.binary(max_size=5000)),
    max_size=12,
)


@settings(deadline=None, max_examples=60)
@given(CONTENTS, WRITES)
def test_two_readers_write_at_will_and_the_shelf_stays(contents, writes):
    words = Words.create(3)
    caller = mail.Mail(words)
    try:
        assert caller.shelve(contents)
        sizes = [len(each) for each in contents]
        taken = [shelf.take(words.handle, sizes), shelf.take(words.handle, sizes)]
        expected = [[bytearray(each) for each in contents] for _ in taken]
        for who, which, start, data in writes:
            which %= len(contents)
            start %= sizes[which]
            data = data[: sizes[which] - start]
            taken[who][which][start : start + len(data)] = data
            expected[who][which][start : start + len(data)] = data
            assert caller.post(b"x" * (1 << 20), []) is not None
            caller.discard()
        assert [[bytes(each) for each in views] for views in taken] == expected
        assert [bytes(each) for each in shelf.take(words.handle, sizes)] == contents
        words.cancel()
        assert words.epoch == 1
    finally:
        words.close()


def test_a_shelf_that_cannot_be_written_is_told(monkeypatch):
    def refuse(*arguments):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    words = Words.create(3, 1 << 20)
    try:
        assert not mail.Mail(words).shelve([b"x"])
        assert os.fstat(words.handle).st_size == 1 << 20
    finally:
        words.close()


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 3 * shelf.COMPARED_BYTES), st.integers(1, 100), st.integers(0), st.booleans())
def test_a_changed_byte_is_seen(large, small, where, in_the_large):
    contents = [bytearray(os.urandom(large)), bytearray(os.urandom(small))]
    words = Words.create(3)
    caller = mail.Mail(words)
    try:
        assert caller.has_shelved([])
        assert caller.shelve(contents)
        views = list(map(memoryview, contents))
        assert caller.has_shelved(views)
        changed = contents[not in_the_large]
        changed[where % len(changed)] ^= 1
        assert not caller.has_shelved(views)
        assert not caller.has_shelved([views[0], memoryview(b"x" * (1 << 20))])  # longer than the shelf
    finally:
        words.close()
