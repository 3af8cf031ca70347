"""Windows into a crew's file: what is copied through them, and when they step back."""

import os

import pytest

from allcores.processes.windows import MOST_WINDOWS, WINDOW_BYTES, Windows

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="there are no files in memory here")

START = 1 << 52


@pytest.fixture
def descriptor():
    number = os.memfd_create("test")
    yield number
    os.close(number)


@pytest.fixture
def windows(descriptor):
    made = Windows(descriptor)
    yield made
    made.close()


def test_what_is_written_through_a_window_is_in_the_file(descriptor, windows):
    assert windows.write(memoryview(b"abc"), START + 5)
    assert os.pread(descriptor, 3, START + 5) == b"abc"


def test_what_is_in_the_file_is_read_through_a_window(descriptor, windows):
    os.pwrite(descriptor, b"abc", START + 5)
    content = bytearray(3)
    assert windows.read_into(memoryview(content), START + 5)
    assert content == b"abc"


def test_what_the_file_does_not_reach_to_is_not_read(descriptor, windows):
    os.pwrite(descriptor, b"abc", START)
    assert not windows.read_into(memoryview(bytearray(4)), START)


def test_a_file_that_was_cut_off_reaches_as_far_again_when_it_is_written(descriptor, windows):
    assert windows.write(memoryview(b"abc"), START)
    os.ftruncate(descriptor, START)
    assert not windows.read_into(memoryview(bytearray(3)), START)
    assert windows.write(memoryview(b"xyz"), START)
    assert os.pread(descriptor, 3, START) == b"xyz"


def test_a_place_that_is_in_two_windows_is_left_to_the_system(windows):
    assert not windows.write(memoryview(b"abc"), START + WINDOW_BYTES - 1)
    assert windows.write(memoryview(b"abc"), START + WINDOW_BYTES - 3)


def test_no_more_than_so_many_windows_are_open(windows):
    could = [
        windows.write(memoryview(b"a"), START + number * WINDOW_BYTES) for number in range(MOST_WINDOWS + 1)
    ]
    assert could == [True] * MOST_WINDOWS + [False]


def test_where_no_window_can_be_had_the_system_reads_and_writes(windows, monkeypatch):
    def refuse(*arguments):
        raise OSError(28, "no space")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    assert not windows.write(memoryview(b"a"), START)


def test_a_lack_of_memory_is_an_error_and_no_signal(windows, monkeypatch):
    assert windows.write(memoryview(b"a"), START)

    def refuse(*arguments):
        raise OSError(28, "no space")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with pytest.raises(OSError, match="no space"):
        windows.write(memoryview(b"a"), START)


def test_windows_that_are_closed_hold_no_descriptor(descriptor):
    windows = Windows(descriptor)
    before = set(os.listdir("/proc/self/fd"))
    windows.write(memoryview(b"a"), START)
    windows.close()
    assert set(os.listdir("/proc/self/fd")) == before
