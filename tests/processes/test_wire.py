"""The wire gives back what was put in, however it was cut; and never takes rubbish for a frame."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allcores.processes import wire

FRAMES = st.lists(
    st.tuples(
        st.integers(1, wire.LAST_KIND), st.integers(0, 2**32 - 1), st.integers(0, 9), st.binary(max_size=300)
    ),
    max_size=8,
)


def encoded(frames):
    return b"".join(wire.frame(kind, number, body, descriptors) for kind, number, descriptors, body in frames)


def as_plain(frames):
    return [(kind, number, descriptors, bytes(body)) for kind, number, descriptors, body in frames]


@settings(deadline=None)
@given(FRAMES, st.lists(st.integers(1, 400)))
def test_frames_survive_any_cut(frames, cuts):
    stream = encoded(frames)
    decoder = wire.Decoder()
    found = []
    for cut in cuts:
        found += decoder.feed(stream[:cut])
        stream = stream[cut:]
    found += decoder.feed(stream)
    assert as_plain(found) == frames
    assert not decoder.pending


@settings(deadline=None)
@given(FRAMES, st.integers(0, 10_000))
def test_what_is_cut_off_is_never_delivered(frames, length):
    stream = encoded(frames)[:length]
    decoder = wire.Decoder()
    found = as_plain(decoder.feed(stream))
    assert found == frames[: len(found)]
    assert decoder.pending == (len(encoded(frames[: len(found)])) < len(stream))


@settings(deadline=None)
@given(FRAMES)
def test_frames_may_repeat(frames):
    assert as_plain(wire.Decoder().feed(encoded(frames) * 3)) == frames * 3


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 4 * wire.SCRATCH_BYTES), max_size=4), st.integers(1, 3 * wire.SCRATCH_BYTES))
def test_large_bodies_get_a_buffer_of_their_own(sizes, cut):
    frames = [(wire.DONE, number, 0, bytes([number]) * size) for number, size in enumerate(sizes)]
    stream = encoded(frames)
    decoder = wire.Decoder()
    found = []
    for start in range(0, len(stream), cut):
        found += decoder.feed(stream[start : start + cut])
    assert as_plain(found) == frames


@settings(deadline=None)
@given(st.binary(max_size=2000))
def test_random_bytes_are_frames_or_refused(data):
    decoder = wire.Decoder()
    try:
        found = decoder.feed(data)
    except wire.BrokenStream:
        return
    assert all(0 < kind <= wire.LAST_KIND and len(body) <= len(data) for kind, _, _, body in found)


@pytest.mark.parametrize(
    "head",
    [
        wire.HEADER.pack(0, wire.DONE, 0, 0, 0),
        wire.HEADER.pack(wire.MAGIC, 0, 0, 0, 0),
        wire.HEADER.pack(wire.MAGIC, wire.LAST_KIND + 1, 0, 0, 0),
        wire.HEADER.pack(wire.MAGIC, wire.DONE, 0, 0, wire.LIMIT_BYTES + 1),
    ],
)
def test_oversized_and_unknown_frames_are_refused(head):
    with pytest.raises(wire.BrokenStream):
        wire.Decoder().feed(head)


RUNS = st.lists(
    st.tuples(
        st.integers(0, 2**60), st.integers(0, 2**60), st.integers(0, 2), st.booleans(), st.integers(0, 4)
    ),
    max_size=5,
)


@settings(deadline=None)
@given(RUNS, st.floats(0, 1e9), st.floats(0, 1e9), st.booleans(), st.booleans(), st.data())
def test_reports_come_back_as_they_were(runs, wall, cpu, last, letters, data):
    count = sum(run[4] for run in runs)
    bodies = data.draw(st.lists(st.binary(max_size=20), min_size=count, max_size=count))
    stream = wire.done_head(wall, cpu, last, letters, runs, bodies) + b"".join(bodies)
    ((kind, _, _, body),) = wire.Decoder().feed(stream)
    assert kind == wire.DONE
    found_wall, found_cpu, found_last, found_letters, found = wire.open_done(body)
    assert (found_wall, found_cpu, found_last, found_letters) == (wall, cpu, last, letters)
    assert [run for run, _ in found] == runs
    assert [bytes(each) for _, opened in found for each in opened] == bodies


@settings(deadline=None)
@given(st.binary(), st.binary(), st.lists(st.binary(), max_size=3), st.booleans())
def test_world_function_and_buffers_share_a_frame(world, function, buffers, shelved):
    found = wire.open_setup(b"".join(wire.setup_parts(world, function, buffers, shelved)))
    lengths = tuple(map(len, buffers))
    assert found == (world, function, lengths, None if shelved else [bytearray(each) for each in buffers])


def test_what_stands_before_nonsense_is_not_lost_with_it():
    frames = wire.frame(wire.READY, 1) + wire.frame(wire.READY, 2, b"body")
    with pytest.raises(wire.BrokenStream) as raised:
        wire.Decoder().feed(frames + b"print('hello')\n" * 5)
    assert raised.value.frames == [(wire.READY, 1, 0, b""), (wire.READY, 2, 0, b"body")]
