"""Where workers' output is kept: memory that is given back, and what is done where there is none."""

import os
import subprocess
import sys
import textwrap

import pytest

import allcores as ac
from allcores.processes import output, pool
from allcores.processes.words import Words

needs_memory_files = pytest.mark.skipif(
    not hasattr(os, "memfd_create"), reason="there is no memory without a name"
)


def taken_bytes(words):
    return os.fstat(words.handle).st_blocks * 512


@pytest.fixture
def words():
    made = Words.create(4, output.room_bytes())
    yield made
    made.close()


def region(words, line, number):
    return output._region(words.handle, line, number)


@needs_memory_files
def test_last_words_are_the_end_of_what_was_not_sent(words):
    first, second = (region(words, 2, number) for number in (1, 2))
    try:
        os.write(first, b"sent" + b"a" * 10_000 + b"z")
        os.write(second, b"e" * 100)
        start = os.lseek(first, 0, os.SEEK_CUR) - 10_001
        line = 2 * 8 + output.SENT_WORD
        words.view[line], words.view[line + 1] = start, os.lseek(second, 0, os.SEEK_CUR) - 100
        said = output.last_words(words, 2)
        assert len(said) == output.LAST_BYTES
        assert said.endswith("aaz" + "e" * 100)
        words.view[line] = start + 10_001
        assert output.last_words(words, 2) == "e" * 100
    finally:
        os.close(first)
        os.close(second)


@needs_memory_files
def test_who_has_written_nothing_has_no_last_words(words):
    assert output.last_words(words, 1) == ""


@needs_memory_files
def test_the_memory_of_a_worker_that_is_gone_is_given_back(words):
    before = taken_bytes(words)
    for line in (1, 2):
        file = region(words, line, 1)
        os.write(file, b"x" * 100_000)
        os.close(file)
    output.discard(words, 1)
    assert before + 100_000 <= taken_bytes(words) < before + 150_000
    output.discard(words, 2)
    assert taken_bytes(words) == before


@needs_memory_files
def test_a_worker_that_prints_for_long_takes_no_more_memory_for_it(capsys):
    ac.shutdown()
    ac.map(lambda x: print("x" * 1_000_000), range(40), engine="processes", n_jobs=1)
    assert len(capsys.readouterr().out) == 40 * 1_000_001
    assert taken_bytes(pool._pool.idle[-1].words) < 4_000_000
    ac.shutdown()


def test_without_such_memory_output_is_in_order_and_only_last_words_are_missing(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(
        textwrap.dedent("""
        import os, resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        import allcores as ac
        def f(x):
            print("item", x)
            if x == 7:
                os._exit(1)
            os.write(1, b"raw\\n")
        try:
            ac.map(f, range(10), engine="processes", n_jobs=2)
        except ac.WorkerLost as error:
            print(error.index, repr(error.output))
        """)
    )
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, timeout=50)
    assert (done.stdout, done.stderr) == ("".join(f"item {x}\nraw\n" for x in range(7)) + "7 ''\n", "")
