"""A channel never blocks, loses nothing, and knows its end."""

import os

import pytest

from allcores.processes import wire
from allcores.processes.channel import Channel, pair


@pytest.fixture
def ends():
    ours, theirs = pair()
    channels = Channel(ours), Channel(theirs)
    yield channels
    for each in channels:
        each.close()


def test_what_the_socket_does_not_take_goes_out_later(ends):
    here, there = ends
    body = os.urandom(3_000_000)
    frames = []
    done = here.send([wire.frame(wire.DONE, 0, body), memoryview(wire.frame(wire.READY))])
    assert not done
    while len(frames) < 2:
        frames += there.receive()
        here.flush()
    assert frames[0][3] == body
    assert frames[1][0] == wire.READY
    assert here.flush()


def test_descriptors_arrive_with_their_frame(ends):
    here, there = ends
    descriptor = os.open(os.devnull, os.O_RDONLY)
    here.send([wire.frame(wire.BORN, 1, b"", 1)], (descriptor,))
    here.send([wire.frame(wire.BORN, 2, b"", 1)], (descriptor,))
    frames = []
    while len(frames) < 2:
        frames += there.receive_with_descriptors()
    assert [number for _, number, _, _ in frames] == [1, 2]
    assert len(there.descriptors) == 2
    assert all(not os.get_inheritable(each) for each in there.descriptors)
    os.close(descriptor)


def test_what_was_sent_before_the_end_can_still_be_read(ends):
    here, there = ends
    there.send([wire.frame(wire.READY)])
    there.close()
    while not here.broken:
        here.send([wire.frame(wire.READY)])
    assert not here.ended
    assert [kind for kind, _, _, _ in here.drain()] == [wire.READY]
    assert here.ended


def test_sending_to_nobody_is_no_error(ends):
    here, there = ends
    there.close()
    assert here.send([bytes(10)]) or here.send([bytes(10)])
    assert here.send([wire.frame(wire.READY)])
