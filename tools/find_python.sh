#!/bin/sh
# Prints the path of an interpreter of the version asked for, such as 3.12; fails where there is none.
# Looks on PATH, then among pyenv's versions. A pyenv shim of a version that is not active does not count.
version=$1
for candidate in "python$version" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python; do
    if path=$("$candidate" -c 'import sys; print(sys.executable)' 2>/dev/null); then
        echo "$path"
        exit 0
    fi
done
exit 1
