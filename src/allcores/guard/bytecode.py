"""Instructions of a code object, read the same way on every version of Python that we run on."""

from __future__ import annotations

import opcode
from _opcode import stack_effect  # type: ignore[import-not-found]

from allcores.core.records import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType

_NAMES = opcode.opname
_CACHE = opcode.opmap["CACHE"]
_EXTENDED = opcode.opmap["EXTENDED_ARG"]
_JUMPS = frozenset(opcode.hasjrel)
_HAS_ARG = frozenset(getattr(opcode, "hasarg", range(opcode.HAVE_ARGUMENT, 256)))


class Instruction(NamedTuple):
    """One instruction, with the offset that it begins at and, for a jump, the offset that it leads to."""

    offset: int
    opcode: int
    name: str
    arg: int
    following: int
    target: int | None
    line: int


class Handler(NamedTuple):
    """Where instructions [start, stop) go when they raise, and how deep the stack is then."""

    start: int
    stop: int
    target: int
    depth: int


def instructions(code: CodeType) -> list[Instruction]:
    """All instructions of the code, in order."""
    raw = code.co_code
    lines = _lines(code)
    found = []
    position, size, arg = 0, len(raw), 0
    start: int | None = None
    while position < size:
        number = raw[position]
        begins = position if start is None else start
        arg = arg << 8 | raw[position + 1]
        position += 2
        if number == _EXTENDED:
            start = begins
            continue
        while position < size and raw[position] == _CACHE:
            position += 2
        name = _NAMES[number]
        target = None
        if number in _JUMPS:
            target = position - 2 * arg if "BACKWARD" in name else position + 2 * arg
        found.append(Instruction(begins, number, name, arg, position, target, lines.get(begins, 0)))
        arg, start = 0, None
    return found


def net_effect(instruction: Instruction, jump: bool = False) -> int:
    """By how much the stack grows."""
    arg = instruction.arg if instruction.opcode in _HAS_ARG else None
    return int(stack_effect(instruction.opcode, arg, jump=jump))


def _lines(code: CodeType) -> dict[int, int]:
    lines: dict[int, int] = {}
    for start, stop, line in code.co_lines():
        for offset in range(start, stop, 2):
            lines[offset] = line or 0
    return lines


def handlers(code: CodeType) -> list[Handler]:
    """The exception table (its format is described in CPython's Objects/exception_handling_notes.txt)."""
    numbers = _numbers(iter(code.co_exceptiontable))
    found = []
    try:
        while True:
            start, length, target, depth_lasti = (next(numbers) for _ in range(4))
            depth = (depth_lasti >> 1) + (depth_lasti & 1)
            found.append(Handler(2 * start, 2 * (start + length), 2 * target, depth))
    except (StopIteration, RuntimeError, ValueError):
        return found


def _numbers(table: Iterator[int]) -> Iterator[int]:
    """Numbers of six bits a byte, the highest first; bit 6 says that more follow."""
    for byte in table:
        value = byte & 63
        while byte & 64:
            byte = next(table, 0)
            value = value << 6 | byte & 63
        yield value


def variable_names(code: CodeType) -> list[str]:
    """Names of locals, cells and free variables, by the number that instructions know them by."""
    cells = [name for name in code.co_cellvars if name not in code.co_varnames]
    return [*code.co_varnames, *cells, *code.co_freevars]
