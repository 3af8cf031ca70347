"""What one code object writes, calls and returns, in terms of its parameters, globals and captured variables.

The bytecode is followed like the interpreter does it, with symbols in place of values: both ways of every branch,
until nothing changes any more. Bytecode is there for lambdas, the REPL and exec'd text alike. A summary depends
on nothing but the code, so it is made once.
"""

from __future__ import annotations

from allcores.core.records import NamedTuple
from allcores.guard import symbols
from allcores.guard.bytecode import Handler, Instruction, handlers, instructions, net_effect, variable_names
from allcores.guard.following import FOLLOWED, unknown
from allcores.guard.state import State
from allcores.guard.symbols import (
    ATTRIBUTE_WRITE,
    CONST,
    FREE,
    GLOBAL,
    ITEM_WRITE,
    NEW,
    PARAM,
    REBINDING,
    TUPLE,
    Symbol,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType


LEAST_STEPS = 400  # instructions followed, loops again and again: a bound, not a need
STEPS_AN_INSTRUCTION = 8
VARARGS, VARKEYWORDS = 4, 8  # flags of code objects

_kept: dict[CodeType, Summary] = {}
MOST_KEPT = 2000


class Write(NamedTuple):
    """A store: into an item or attribute of ``target``, by an operator in place, or of the name itself."""

    kind: str
    target: Symbol
    name: str  # the attribute, or the operator
    line: int
    lazy: bool = False  # fills what was seen to be None or empty, from nothing that a parameter held


class Call(NamedTuple):
    """A call, as a symbol."""

    symbol: Symbol
    line: int


class Summary(NamedTuple):
    """What a code object does, as far as it could be followed."""

    writes: tuple[Write, ...]
    calls: tuple[Call, ...]
    returns: Symbol
    reads: frozenset[Symbol]  # values whose elements it looks up
    names: frozenset[Symbol]  # globals and captured variables that it loads
    compared: frozenset[tuple[Symbol, Symbol]]  # values between which it writes ``is``
    complete: bool


def summary_of(code: CodeType) -> Summary:
    """The summary of this code; made once."""
    found = _kept.get(code)
    if found is None:
        try:
            found = Reading(code).summary()
        except Exception:  # what cannot be read is not promised
            found = Summary((), (), NEW, frozenset(), frozenset(), frozenset(), False)
        if len(_kept) > MOST_KEPT:
            _kept.clear()
        _kept[code] = found
    return found


class Reading:
    """Follows one code object; ``summary`` gives the result."""

    def __init__(self, code: CodeType) -> None:
        self.code = code
        self.names = variable_names(code)
        self.free = frozenset(code.co_freevars)
        self.writes: dict[Write, None] = {}
        self.calls: dict[Call, None] = {}
        self.returned: list[Symbol] = []
        self.reads: set[Symbol] = set()
        self.loaded: set[Symbol] = set()
        self.compared: set[tuple[Symbol, Symbol]] = set()
        self.keywords: tuple[str, ...] = ()
        self._states: dict[int, State] = {}
        self._again: list[int] = []

    def summary(self) -> Summary:
        found = instructions(self.code)
        place = {each.offset: index for index, each in enumerate(found)}
        table = handlers(self.code)
        self._arrive(0, State(self._parameters(), []))
        left = LEAST_STEPS + STEPS_AN_INSTRUCTION * len(found)
        while self._again and left > 0:
            index: int | None = place.get(self._again.pop())
            state = None if index is None else self._states[found[index].offset].copy()
            while index is not None and state is not None and left > 0 and index < len(found):
                left -= 1
                instruction = found[index]
                stopped = self._step(instruction, state, table)
                index += 1
                if stopped or index >= len(found):
                    break
                if found[index].offset in self._states:
                    self._arrive(found[index].offset, state)
                    break
        returns = symbols.either(*self.returned) if self.returned else NEW
        return Summary(
            tuple(self.writes),
            tuple(self.calls),
            returns,
            frozenset(self.reads),
            frozenset(self.loaded),
            frozenset(self.compared),
            not self._again,
        )

    def _parameters(self) -> dict[str, Symbol]:
        code = self.code
        count = code.co_argcount + code.co_kwonlyargcount
        found: dict[str, Symbol] = {name: (PARAM, name) for name in code.co_varnames[:count]}
        for flag in (VARARGS, VARKEYWORDS):
            if code.co_flags & flag:  # the tuple, or the dict, is new; what it holds is not
                name = code.co_varnames[count]
                found[name] = (TUPLE, ((PARAM, name),))
                count += 1
        return found

    def _arrive(self, offset: int, state: State) -> None:
        """This state is one of those in which the instruction may find things."""
        known = self._states.get(offset)
        joined = state.copy() if known is None else known.joined(state)
        if joined is not None:
            self._states[offset] = joined
            self._again.append(offset)

    def _step(self, instruction: Instruction, state: State, table: list[Handler]) -> bool:
        """Follows one instruction; whether nothing comes behind it."""
        at = instruction.offset
        for handler in table:
            if handler.start <= at < handler.stop and (at == handler.start or "CALL" in instruction.name):
                self._raise_to(handler, state)
        name = instruction.name
        before = state.copy() if instruction.target is not None else None
        FOLLOWED.get(name, unknown)(self, instruction, state)
        if before is not None:
            self._jump(instruction, state, before)
        return (name.startswith(("RETURN_", "RAISE_", "RERAISE")) and name != "RETURN_GENERATOR") or (
            name.startswith("JUMP_") and "_IF_" not in name
        )

    def _raise_to(self, handler: Handler, state: State) -> None:
        caught = state.copy(handler.depth)
        caught.push(NEW)
        self._arrive(handler.target, caught)

    def _jump(self, instruction: Instruction, state: State, before: State) -> None:
        """The state in which the other end of a jump is reached, and what the two ways know."""
        name = instruction.name
        assert instruction.target is not None
        tested = before.stack[-1] if before.stack else NEW
        if name.startswith(("FOR_ITER", "SEND")) or "OR_POP" in name:
            net = net_effect(instruction, jump=True)
            if net < 0:
                before.pop_many(-net)
            else:
                before.stack.extend([NEW] * net)
            self._arrive(instruction.target, before)
            return
        there = state.copy()
        if name.endswith(("IF_NONE", "IF_FALSE")):
            there.empty = state.empty | _tested(tested)
        elif name.endswith(("IF_NOT_NONE", "IF_TRUE")):
            state.empty = state.empty | _tested(tested)
        self._arrive(instruction.target, there)

    # -- what the instructions tell -------------------------------------------------------------------

    def load(self, name: str, state: State) -> Symbol:
        if name in self.free:
            self.loaded.add((FREE, name))
            return (FREE, name)
        return state.variables.get(name, NEW)

    def store(self, name: str, state: State, line: int, value: Symbol) -> None:
        if name in self.free:
            self.write(REBINDING, (FREE, name), name, line, state, value)
        else:
            state.variables[name] = value

    def write(
        self, kind: str, target: Symbol, name: str, line: int, state: State, value: Symbol = NEW
    ) -> None:
        place = symbols.attribute(target, name) if kind == ATTRIBUTE_WRITE else target
        lazy = place in state.empty and kind != ITEM_WRITE and not symbols.depends(value)
        self.writes[Write(kind, target, name, line, lazy)] = None
        state.empty -= {place}

    def loops_over(self, symbol: Symbol, line: int) -> None:
        for each in symbol[1] if symbol[0] == symbols.EITHER else (symbol,):
            if symbols.is_plain(each):
                self.writes[Write(symbols.ITERATION, each, "", line)] = None

    def called(self, symbol: Symbol, line: int) -> None:
        self.calls[Call(symbol, line)] = None

    def call(self, callee: Symbol, arguments: list[Symbol], line: int, state: State) -> None:
        whole = symbols.call(callee, tuple(arguments), self.keywords)
        self.keywords = ()
        if whole[0] == symbols.CALL:
            self.called(whole, line)
            if callee[0] == symbols.ATTR and callee[2] == "get":
                self.reads.add(callee[1])
        else:
            self.called((symbols.CALL, NEW, (), ()), line)  # too far from any name to be followed
        state.push(whole)


def _tested(symbol: Symbol) -> frozenset[Symbol]:
    """The places that a test which came out None or false says to be empty."""
    if symbol[0] == symbols.CALL and symbol[1] == (GLOBAL, "hasattr") and len(symbol[2]) == 2:
        owner, name = symbol[2]
        return frozenset([symbols.attribute(owner, str(name[1]))]) if name[0] == CONST else frozenset()
    return frozenset([symbol]) if symbol[0] in (GLOBAL, FREE, symbols.ATTR) else frozenset()
