"""What holds for all tests."""

import signal

# Where this run was started in the background, Ctrl-C is ignored here and, inherited, in every program of the tests.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
