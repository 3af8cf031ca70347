"""Ctrl-C comes at any moment: wherever in our code it strikes, it ends the call, and only that."""

import sys

import pytest


@pytest.fixture
def start():
    """Where the interrupts strike is the same code for every start."""
    return "forks"


PRELUDE = """
    import dis, faulthandler, os, random, signal, sys, warnings
    import allcores as ac
    from allcores.tasks import place

    faulthandler.dump_traceback_later(50, exit=True)
    random.seed({seed})
    SEEDED = {seeded}

    def work(x):
        random.random() if SEEDED else None
        return sum(range(1000))

    def call():
        return ac.map(work, range(60), {options})

    def assert_all_is_well():
        assert ac.map(abs, [-1, -2], {options}) == [1, 2]
        assert "write" not in sys.stdout.__dict__ and place.worker_index() is None
"""
AT_OPCODES = """
    def looks_behind(code, place):
        return dis.opname[code.co_code[place]].startswith(("CALL", "RESUME", "JUMP_BACKWARD"))

    def handler(code, place):
        # what would handle an exception there; the signal's exception belongs to the call that was interrupted
        if code not in tables:
            tables[code] = dis._parse_exception_table(code)
        return [entry.target for entry in tables[code] if entry.start <= place < entry.end]

    tables = {}

    class Strike:
        # raises KeyboardInterrupt the n-th time that the interpreter would look for signals in our code
        def __init__(self, number):
            self.left = number
            self.before = {}

        def __call__(self, frame, event, argument):
            if "allcores" not in frame.f_code.co_filename:
                return None
            frame.f_trace_opcodes = True
            return self.within

        def within(self, frame, event, argument):
            if event == "opcode":
                code, place = frame.f_code, frame.f_lasti
                before = self.before.get(frame)
                self.before[frame] = place
                if before is not None and looks_behind(code, before) and handler(code, before) == handler(code, place):
                    self.left -= 1
                    if not self.left:
                        sys.settrace(None)
                        raise KeyboardInterrupt
            elif event == "return":
                self.before.pop(frame, None)
            return self.within

    def interrupted_at(number):
        strike = Strike(number)
        sys.settrace(strike)
        try:
            call()
        except KeyboardInterrupt:
            return None
        finally:
            sys.settrace(None)
        return number - strike.left

    call()
    looks = interrupted_at(1 << 60)
    assert looks > 300
    missed = 0
    for _ in range({rounds}):
        missed += interrupted_at(random.randrange(1, looks)) is not None
        assert_all_is_well()
    assert missed < 0.9 * {rounds}, missed  # most calls take fewer steps than the first one
    ac.shutdown()
    print("well", len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0)
"""


@pytest.mark.skipif(
    sys.version_info[:2] == (3, 12), reason="there a frame's opcodes are not traced from its start"
)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "options", ["engine='inline'", "seed=1, engine='inline'", "engine='processes', n_jobs=2", "n_jobs=2"]
)
def test_an_interrupt_anywhere_in_our_code_ends_the_call_and_harms_nobody(program, options, seed):
    text = (PRELUDE + AT_OPCODES).replace("{options}", options).replace("{seed}", str(seed))
    text = text.replace("{seeded}", str("seed" in options))
    code, out, err = program(text.replace("{rounds}", "100")).end()
    assert (code, err) == (0, ""), err
    word, descriptors = out.split()
    assert word == "well"
    assert int(descriptors) < 30


@pytest.mark.parametrize("engine", ["inline", "processes", "auto"])
def test_real_signals_at_random_moments_end_the_call_and_harm_nobody(program, engine):
    text = (
        PRELUDE
        + """
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    for _ in range(100):
        try:
            signal.setitimer(signal.ITIMER_REAL, random.random() * 0.03 + 0.0005)
            for _ in range(20):
                assert ac.map(work, range(300), {options}) == [499500] * 300
        except KeyboardInterrupt:
            pass
        signal.setitimer(signal.ITIMER_REAL, 0)
    assert_all_is_well()
    print("well")
    """
    )
    text = (
        text.replace("{options}", f"engine={engine!r}, n_jobs=2")
        .replace("{seed}", "1")
        .replace("{seeded}", "False")
    )
    assert program(text).end() == (0, "well\n", "")


@pytest.mark.parametrize("engine", ["inline", "threads", "processes", "auto"])
def test_ctrl_c_inside_the_users_iterator_is_raised_as_what_it_is(program, engine):
    running = program(f"""
        def items():
            yield 1
            yield 2
            raise KeyboardInterrupt("mine")
        try:
            ac.map(abs, items(), engine={engine!r})
        except KeyboardInterrupt as error:
            print(error.args)
    """)
    assert running.end() == (0, "('mine',)\n", "")


@pytest.mark.parametrize(
    "options", ["engine='inline'", "engine='inline', retries=2", "engine='processes'", ""]
)
def test_an_iterator_that_exits_does_so_after_all_results_before_it(program, options):
    running = program(f"""
        def items():
            yield from range(5)
            raise SystemExit(3)
        for value in ac.par(items(), {options}).map(abs):
            print(value)
    """)
    assert running.end() == (3, "0\n1\n2\n3\n4\n", "")
