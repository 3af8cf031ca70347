"""Letters arrive as they were written, in memory of their receiver's own, however often places are used again."""

import os
import resource
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from allcores.processes import mail, wire
from allcores.processes.words import LINE_WORDS, Words
from allcores.tasks.pickling import dumps, loads

LINE = 3
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def pickled(value):
    aside = mail.Aside()
    return dumps(value, 5, buffer_callback=aside), aside.buffers


def used_bytes(words):
    return os.fstat(words.handle).st_blocks * 512


def as_report(letter):
    return [((0, 1, wire.VALUES, False, 1), [memoryview(letter)])]


def post_of(words):
    return mail.Mail(words), mail.Outbox(words, LINE)


@pytest.fixture
def words():
    made = Words.create(8)
    yield made
    made.close()


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(1, 10**7), st.booleans()), max_size=60))
def test_places_that_are_let_never_overlap_and_those_given_back_are_used_again(steps):
    area = mail.Area(1000, 1 << 40)
    let = {}
    for size, give_back in steps:
        if give_back and let:
            area.give_back(let.popitem()[0])
            continue
        offset = area.let(size)
        assert offset >= 1000
        assert all(offset + size <= start or start + length <= offset for start, length in let.items())
        let[offset] = size
    assert area.let_bytes < 2 * sum(let.values()) + len(let) * mail.SMALLEST_PLACE_BYTES + 1
    for offset in let:
        area.give_back(offset)
    assert area.let(1) == 1000


def test_an_area_that_is_full_says_so():
    area = mail.Area(0, 3 << 20)
    assert [area.let(1 << 20) for _ in range(4)] == [0, 1 << 20, 2 << 20, None]
    area.give_back(1 << 20)
    assert area.let(1 << 20) == 1 << 20


class Post(RuleBasedStateMachine):
    """Both sides write, read, keep and change at will; what was received is never touched by anybody else."""

    def __init__(self):
        super().__init__()
        self.words = Words.create(8)
        self.caller, self.worker = post_of(self.words)
        self.items = []  # letter, lease, what it holds
        self.results = []  # letter, what it holds
        self.kept = []  # received array, what it must be

    def content(self, seed, kilobytes):
        return np.random.default_rng(seed).integers(0, 255, kilobytes << 10, dtype=np.uint8)

    @rule(seed=st.integers(0, 99), kilobytes=st.sampled_from([64, 100, 900, 3000]))
    def send_item(self, seed, kilobytes):
        content = self.content(seed, kilobytes)
        letter, lease = self.caller.post(*pickled([seed, content]))
        self.items.append((letter, lease, content.copy()))
        content[:] = 0  # the user goes on with it

    @rule(seed=st.integers(0, 99), kilobytes=st.sampled_from([64, 100, 900, 3000]))
    def send_result(self, seed, kilobytes):
        content = self.content(seed, kilobytes)
        letter = self.worker.post(*pickled([seed, content]))
        assert letter is not None
        self.results.append((letter, content.copy()))
        content[:] = 0

    @rule(data=st.data())
    def receive_item_once_or_again(self, data):
        if self.items:
            letter, _, content = data.draw(st.sampled_from(self.items))
            self.kept.append((mail.read(self.words, letter).open()[1], content.copy()))

    @rule()
    def receive_result(self):
        if self.results:
            letter, content = self.results.pop(0)
            ((_, (body,)),) = self.caller.receive(LINE, as_report(letter))
            self.kept.append((body.open()[1], content))

    @rule(data=st.data())
    def settle_items(self, data):
        if self.items:
            self.items.remove(data.draw(st.sampled_from(self.items)))

    @rule(data=st.data(), value=st.integers(0, 255))
    def change_what_was_received(self, data, value):
        if self.kept:
            array, content = self.kept[data.draw(st.integers(0, len(self.kept) - 1))]
            array[::7] = value
            content[::7] = value

    @rule()
    def fork(self):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                for array, _ in self.kept:
                    array[:] = 1  # the fork's own
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(pid, 0)[1] == 0

    @rule()
    def drop_all_items_and_shrink(self):
        self.items.clear()
        if not self.results:
            self.caller.discard()

    @invariant()
    def what_was_received_stays(self):
        for array, content in self.kept:
            assert np.array_equal(array, content)

    def teardown(self):
        self.words.close()


TestPost = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")(Post.TestCase)
TestPost.settings = settings(deadline=None, max_examples=25, stateful_step_count=25)


@pytest.mark.parametrize(
    "value",
    [
        np.arange(100_000).reshape(100, 1000),
        np.asfortranarray(np.arange(100_000.0).reshape(100, 1000)),
        np.arange(200_000)[::2],
        np.ones((2, 300, 400))[:, ::2, :],
        {"small": np.arange(10), "large": np.arange(50_000), "text": "x" * 2_000_000},
        b"x" * 3_000_000,
        bytearray(b"y" * 3_000_000),
    ],
)
def test_objects_arrive_whole_and_writable(words, value):
    letter, _ = mail.Mail(words).post(*pickled(value))
    found = mail.read(words, letter).open()
    np.testing.assert_equal(found, value)
    if type(found) is np.ndarray:
        assert found.flags.writeable
        assert found.flags.f_contiguous == loads(dumps(value)).flags.f_contiguous


def test_an_array_that_may_not_be_changed_stays_so(words):
    array = np.arange(100_000)
    array.flags.writeable = False
    letter, _ = mail.Mail(words).post(*pickled(array))
    assert not mail.read(words, letter).open().flags.writeable


@pytest.mark.parametrize("mapped", [True, False])
def test_large_bytes_travel_beside_their_pickle_and_arrive_as_bytes(words, monkeypatch, mapped):
    if not mapped:
        monkeypatch.setattr(type(words.windows), "_window", lambda *place: None)
    aside, content = mail.Aside(), b"content" * 100_000
    data = dumps(aside.beside(content), 5, buffer_callback=aside)
    assert len(data) < 20
    assert aside.buffers[0].obj is content  # nothing was copied so far
    found = mail.read(words, mail.Mail(words).post(data, aside.buffers)[0]).open()
    assert type(found) is bytes
    assert found == content


def test_bytes_that_may_be_changed_and_short_ones_stay_in_their_pickle():
    aside = mail.Aside()
    for value in (b"short", bytearray(1 << 20), "text" * 100_000):
        assert aside.beside(value) is value


def test_small_buffers_stay_in_the_pickle():
    data, buffers = pickled([np.arange(10), b"x" * 100_000])
    assert not buffers
    assert not mail.wants_letter(data, buffers)
    assert loads(data)[0][9] == 9


def test_memory_is_used_again_and_given_back(words):
    caller, worker = post_of(words)
    before = used_bytes(words)
    for _ in range(50):
        caller.post(*pickled(np.ones(1 << 20, np.uint8)))
        caller.receive(LINE, as_report(worker.post(*pickled(np.ones(1 << 20, np.uint8)))))
    assert used_bytes(words) - before <= 6 << 20
    caller.discard()
    assert used_bytes(words) <= PAGE_BYTES


def test_memory_is_made_sure_of_once_and_again_after_it_was_given_back(words, monkeypatch):
    caller, worker = post_of(words)
    content = pickled(np.ones(1 << 20, np.uint8))
    written, made_sure = [], []
    real_write, real_fallocate = os.pwrite, os.posix_fallocate

    def pwrite(descriptor, data, offset):
        written.append(len(data))
        return real_write(descriptor, data, offset)

    def fallocate(descriptor, offset, size_bytes):
        made_sure.append(size_bytes)
        real_fallocate(descriptor, offset, size_bytes)

    def both():
        caller.post(*content)
        caller.receive(LINE, as_report(worker.post(*content)))

    both()
    monkeypatch.setattr(os, "pwrite", pwrite)
    monkeypatch.setattr(os, "posix_fallocate", fallocate)
    for _ in range(5):
        both()
    assert not written
    assert set(made_sure) <= {1}  # the end of a window
    caller.discard()
    both()
    assert written == [1 << 20] * 2


def test_a_worker_that_dies_leaves_no_memory_and_the_next_one_of_its_line_begins_anew(words):
    caller, worker = post_of(words)
    before = used_bytes(words)
    for _ in range(5):  # never read: it was killed
        worker.post(*pickled(np.ones(1 << 20, np.uint8)))
    assert used_bytes(words) - before > 4 << 20
    caller.bury(LINE)
    assert used_bytes(words) <= before + PAGE_BYTES
    words.clear(LINE)
    letter = mail.Outbox(words, LINE).post(*pickled(np.arange(1 << 17)))
    ((_, (body,)),) = caller.receive(LINE, as_report(letter))
    assert body.open()[-1] == (1 << 17) - 1


def test_what_nobody_reads_is_bounded(words):
    caller, worker = post_of(words)
    content = pickled(np.ones(1 << 24, np.uint8))
    letters = [worker.post(*content) for _ in range(12)]
    posted = [letter for letter in letters if letter is not None]
    assert 4 <= len(posted) <= mail.MOST_UNREAD_BYTES >> 24
    assert worker.post(*content) is None
    caller.receive(LINE, as_report(posted[0]))
    assert worker.post(*content) is not None


def test_how_many_letters_were_read_is_counted(words):
    caller, worker = post_of(words)
    letter = worker.post(*pickled(np.ones(1 << 17)))
    caller.receive(LINE, [((0, 2, wire.VALUES, False, 2), [memoryview(dumps(1, 5)), memoryview(letter)])])
    assert words.view[LINE * LINE_WORDS + mail.READ_WORD] == 1


@pytest.mark.parametrize("number", [28, 12])  # ENOSPC, ENOMEM
def test_memory_that_cannot_be_had_is_no_letter_and_takes_no_place(words, monkeypatch, number):
    caller, worker = post_of(words)
    content = pickled([np.ones(1 << 17), np.ones(1 << 17)])
    real, calls = os.pwrite, []

    def second_fails(descriptor, data, offset):
        calls.append(offset)
        if len(calls) % 2 == 0:
            raise OSError(number, os.strerror(number))
        return real(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", second_fails)
    assert caller.post(*content) is None
    assert worker.post(*content) is None
    monkeypatch.undo()
    assert caller._area.let_bytes == worker._area.let_bytes == 0
    assert caller.post(*content) is not None


def test_a_letter_without_its_content_is_torn(words):
    caller, _ = post_of(words)
    letter, _ = caller.post(*pickled(np.ones(1 << 17)))
    caller.discard()
    with pytest.raises(mail.Torn):
        mail.read(words, letter)
    with pytest.raises(wire.BrokenStream):
        caller.receive(LINE, as_report(letter))


def test_a_limit_on_the_size_of_files_is_no_letter():
    program = """
        import resource, signal
        import numpy as np
        from allcores.processes import mail
        from allcores.processes.words import Words
        from allcores.tasks.pickling import dumps
        words = Words.create(8)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        aside = mail.Aside()
        data = dumps(np.ones(1 << 17), 5, buffer_callback=aside)
        assert mail.Mail(words).post(data, aside.buffers) is None
        assert mail.Outbox(words, 1).post(data, aside.buffers) is None
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True)
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 1 << 20
