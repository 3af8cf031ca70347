#!/bin/sh
# All tests: sh tools/run_tests.sh PYTHON [arguments for pytest]
# Most run on two processes at once, a file in one of them; those marked "alone" afterwards, with nothing beside them.
# Status 5 of pytest: no test was selected.
python=$1
shift
"$python" -m pytest -n 2 --dist loadfile -m "not alone" "$@"
together=$?
"$python" -m pytest -m alone "$@"
alone=$?
[ $together -eq 5 ] && [ $alone -ne 5 ] && together=0
[ $alone -eq 5 ] && alone=0
exit $((together > alone ? together : alone))
