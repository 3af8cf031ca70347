"""Follows a function of the user's, and those of the user's functions that it calls, and judges what they do."""

from __future__ import annotations

import sys

from allcores.core.records import NamedTuple
from allcores.guard import estimators, mutators, symbols, thread_safe
from allcores.guard.following import SPREAD
from allcores.guard.judging import (
    attribute_thing,
    bound,
    is_cache,
    is_plain_data,
    is_shared_iterator,
    method_writes,
    no_loss,
    operator_of,
    part_kind,
    positional,
    table_name,
)
from allcores.guard.mutators import function_name, is_class, type_name
from allcores.guard.summary import Call, Summary, Write, summary_of
from allcores.guard.symbols import ATTR, CALL, CONST, EITHER, FREE, GLOBAL, IMPORT, ITEM, PARAM, TUPLE, Symbol
from allcores.guard.things import (
    FUNCTION,
    MODULE,
    UNKNOWN,
    Thing,
    immutable,
    is_users_class,
    is_users_code,
    is_users_module,
    lookup,
)
from allcores.guard.whereabouts import Whereabouts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

DEEPEST_CALL = 3
MOST_CALLS = 300  # of all functions together
MOST_STEPS = 20_000  # symbols looked up

GLOBAL_ROOT, CAPTURED, SELF, DEFAULT = (
    "the global",
    "the captured variable",
    "the object of the method",
    "the default argument",
)


class Finding(NamedTuple):
    """A write that would be lost in another process."""

    root: str
    path: str
    what: str
    file: str
    line: int
    remedy: str = mutators.REMEDY


class Frame(NamedTuple):
    """One call of one code object: what its names stand for."""

    code: CodeType
    globals: dict[str, Any]
    parameters: dict[str, list[Thing]]
    free: dict[str, list[Thing]]
    rebound: dict[str, bool]  # whether to rebind this captured variable is a loss
    depth: int
    resolved: dict[Symbol, list[Thing]]  # what was looked up, and what the calls returned that were followed


class TooFar(Exception):
    """The bounds of the analysis are reached."""


class Reach:
    """Everything that is found in the reach of some functions.

    Attributes:
        findings: the writes.
        excused: variables that are written, but only as caches are.
        unsafe: why threads may not compute it, as far as one reason; None if everything is in the table.
        whereabouts: whether threads may wait for it, and whether another interpreter gives the same results.
    """

    def __init__(self) -> None:
        self.findings: dict[Finding, None] = {}
        self.excused: set[str] = set()
        self.unsafe: str | None = None
        self.whereabouts = Whereabouts()
        self.computes_beside = False  # something that it calls is in the table
        self._calls = 0
        self._steps = 0

    def follow(
        self,
        function: Any,
        arguments: list[list[Thing]],
        keywords: tuple[str, ...] = (),
        depth: int = 0,
        root: tuple[str, str] | None = None,
    ) -> list[Thing] | None:
        """Judges a call, if the function is the user's, and gives what it returns; None if it is not."""
        kind = type(function)
        if type_name(kind) == "functools.partial":
            held = [[Thing(CAPTURED, "argument of partial", each)] for each in function.args]
            held_names = tuple(function.keywords)
            held_values = [[Thing(CAPTURED, name, function.keywords[name])] for name in held_names]
            positional = arguments[: len(arguments) - len(keywords)] if keywords != SPREAD else arguments
            named = arguments[len(positional) :]
            names = () if keywords == SPREAD else keywords
            return self.follow(
                function.func, [*held, *positional, *held_values, *named], held_names + names, depth
            )
        if type_name(kind) == "functools._lru_cache_wrapper":
            return self.follow(function.__wrapped__, arguments, keywords, depth)
        if type_name(kind) == "builtins.method":
            me = Thing(*(root or (SELF, "self")), function.__self__)
            return self.follow(function.__func__, [[me], *arguments], keywords, depth)
        if kind is FUNCTION:
            return self._follow_function(function, arguments, keywords, depth)
        if is_class(function):
            made = Thing(None, "", UNKNOWN, type_name(function))
            start = lookup(function, "__init__") if is_users_class(function) else UNKNOWN
            if type(start) is FUNCTION:
                self.follow(start, [[made], *arguments], keywords, depth)
                return [made]
            return None
        call = lookup(kind, "__call__")
        if type(call) is FUNCTION:
            me = Thing(*(root or (SELF, "self")), function)
            return self.follow(call, [[me], *arguments], keywords, depth)
        return None

    def foreign(self, function: Any) -> list[Thing]:
        """Judges a function that is not the user's and is itself what runs, such as ``results.append``."""
        returns = table_name(Thing(None, "", function))
        while type_name(type(function)) == "functools.partial":
            for each in (*function.args, *function.keywords.values()):
                self.whereabouts.uses(Thing(CAPTURED, "argument of partial", each))
            function = function.func
        owner = getattr(function, "__self__", None)
        name = str(getattr(function, "__name__", ""))
        me = Thing(SELF, type(owner).__name__, owner)
        self.whereabouts.calls_method(me, name)
        self.whereabouts.uses(Thing(GLOBAL_ROOT, name, function))
        self.whereabouts.calls(function)
        if owner is not None and method_writes(me, name) and not no_loss(me):
            what = f"{type(owner).__name__}.{name}(...)"
            remedy = estimators.REMEDY if estimators.learns(owner, name) else mutators.REMEDY
            self.findings[Finding(SELF, type(owner).__name__, what, "", 0, remedy)] = None
        self.computes_beside = self.computes_beside or returns in thread_safe.RETURNS
        if returns not in thread_safe.RETURNS:
            self._doubt(f"{returns or 'it'} is not in the table of thread-safe operations")
        return [Thing(None, "", UNKNOWN, thread_safe.RETURNS.get(returns))]

    def _follow_function(
        self, function: Any, arguments: list[list[Thing]], keywords: tuple[str, ...], depth: int
    ) -> list[Thing] | None:
        code = function.__code__
        if not is_users_code(code):
            wrapped = function.__dict__.get("__wrapped__")  # a library's decorator, contextmanager for one
            if type(wrapped) is FUNCTION and depth <= DEEPEST_CALL:
                self.follow(wrapped, arguments, keywords, depth + 1)
            return None
        free = {}
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=False):
            try:
                free[name] = [Thing(CAPTURED, name, cell.cell_contents)]
            except ValueError:
                free[name] = []
        parameters = bound(code, arguments, keywords)
        defaults = dict(zip(reversed(positional(code)), reversed(function.__defaults__ or ()), strict=False))
        defaults.update(function.__kwdefaults__ or {})
        for name, value in defaults.items():
            parameters.setdefault(name, [Thing(DEFAULT, name, value)])
        frame = Frame(
            code, function.__globals__, parameters, free, dict.fromkeys(code.co_freevars, True), depth, {}
        )
        return self._judge(frame)

    def _judge(self, frame: Frame) -> list[Thing]:
        """Judges one call, and gives what it returns."""
        self._calls += 1
        if frame.depth > DEEPEST_CALL or self._calls > MOST_CALLS:
            self._doubt(f"{frame.code.co_name} is called from too far away")
            return []
        summary = summary_of(frame.code)
        if not summary.complete:
            self._doubt(f"{frame.code.co_name} could not be read to its end")
        for write in summary.writes:
            self._judge_write(write, summary, frame)
        for call in summary.calls:
            self._judge_call(call, summary, frame)
        for name in summary.names:
            self._judge_name(name, frame)
        for pair in summary.compared:
            self._judge_comparison(pair, frame)
        return self.resolve(summary.returns, frame)

    # -- writes ---------------------------------------------------------------------------------------

    def _judge_write(self, write: Write, summary: Summary, frame: Frame) -> None:
        if write.kind == symbols.REBINDING:
            lost = write.target[0] == GLOBAL or frame.rebound.get(write.name, False)
            if lost and write.lazy:
                self.excused.add(write.name)
            elif lost:
                root = GLOBAL_ROOT if write.target[0] == GLOBAL else CAPTURED
                self._found(Thing(root, write.name), f"{write.name} = ...", write.line, frame)
            return
        for thing in self.resolve(write.target, frame):
            if write.kind == symbols.ITERATION:
                self._used_up(thing, "for ... in {}", write.line, frame)
                continue
            self.whereabouts.writes_to(thing, write.name if write.kind == symbols.ATTRIBUTE_WRITE else "")
            if thing.root is None or no_loss(thing):
                continue
            if write.kind == symbols.IN_PLACE:
                if thing.known is not UNKNOWN and lookup(type(thing.known), write.name) is not UNKNOWN:
                    self._found(thing, f"{thing.path} {operator_of(write.name)} ...", write.line, frame)
            elif write.lazy or (write.kind == symbols.ITEM_WRITE and is_cache(write.target, summary)):
                self.excused.add(thing.first_name)
            elif write.kind == symbols.ITEM_WRITE:
                text = f"{thing.path}[...] = ..." if write.name == "=" else f"del {thing.path}[...]"
                self._found(thing, text, write.line, frame)
            elif not (type(thing.known) is MODULE and not is_users_module(thing.known)):
                place = thing._replace(path=f"{thing.path}.{write.name}", known=UNKNOWN)
                self._found(place, f"{place.path} = ...", write.line, frame)

    def _found(self, thing: Thing, what: str, line: int, frame: Frame, remedy: str = mutators.REMEDY) -> None:
        assert thing.root is not None
        finding = Finding(thing.root, thing.path, what, frame.code.co_filename, line, remedy)
        if not any(each.line == line and each.file == finding.file for each in self.findings):
            self.findings[finding] = None
        self._doubt(f"it writes to {thing.path}")

    def _doubt(self, reason: str) -> None:
        self.unsafe = self.unsafe or reason

    # -- calls ----------------------------------------------------------------------------------------

    def _judge_call(self, call: Call, summary: Summary, frame: Frame) -> None:
        _, callee, arguments, keywords = call.symbol
        for each in arguments:
            if symbols.is_plain(each):
                for thing in self.resolve(each, frame):
                    self.whereabouts.uses(thing)
                    self.whereabouts.calls(thing.known)  # whoever gets it may call it
        if callee[0] == ATTR:
            self._judge_method(callee, call, summary, frame)
        callees = self.resolve(callee, frame)
        for thing in callees:
            name = function_name(thing.known) if thing.known is not UNKNOWN else ""
            self.whereabouts.calls(thing.known, arguments)
            module, _, short = name.partition(".")
            if name in mutators.FUNCTIONS and arguments:
                self._written(arguments[0], short + "({})", call.line, frame)
            if name in mutators.SECOND and len(arguments) > 1:
                self._written(arguments[1], short + "(..., {})", call.line, frame)
            if module == "builtins" and short in mutators.TAKES:
                for value in filter(symbols.is_plain, arguments):
                    for each in self.resolve(value, frame):
                        self._used_up(each, short + "({})", call.line, frame)
        names = keywords if keywords != SPREAD else ()
        for name, value in zip(reversed(names), reversed(arguments), strict=False):
            if name == "out" or (name == "file" and callee == (GLOBAL, "print")):
                self._written(value, name + "={}", call.line, frame)
        self.resolve(call.symbol, frame)  # follows it
        self._judge_safety(call, callees, frame)

    def _judge_method(self, callee: Symbol, call: Call, summary: Summary, frame: Frame) -> None:
        _, base, name = callee
        arguments, keywords = call.symbol[2], call.symbol[3]
        text = f"{{}}.{name}(...)"
        if name in mutators.ARGUMENT_METHODS and arguments:
            self._written(arguments[0], f"{name}({{}})", call.line, frame)
        inplace = "inplace" in keywords and arguments[keywords.index("inplace") - len(keywords)] == (
            CONST,
            True,
        )
        cache = name in ("setdefault", "clear", "pop", "popitem", "move_to_end") and is_cache(
            base, summary, name == "setdefault"
        )
        for thing in self.resolve(base, frame):
            known = thing.known
            self.whereabouts.calls_method(thing, name)
            if is_class(known) and name in mutators.METHODS.get(type_name(known), ()):
                if arguments:  # list.append(items, 1)
                    self._written(arguments[0], f"{known.__name__}.{name}({{}})", call.line, frame)
                continue
            if thing.root is None or no_loss(thing) or type(known) is MODULE:
                continue
            if not (inplace or method_writes(thing, name)):
                continue
            if cache:
                self.excused.add(thing.first_name)
            else:
                learns = estimators.learns(known, name)
                remedy = estimators.REMEDY if learns else mutators.REMEDY
                self._found(thing, text.format(thing.path), call.line, frame, remedy)

    def _written(self, target: Symbol, text: str, line: int, frame: Frame) -> None:
        for thing in self.resolve(target, frame):
            if thing.root is not None and not no_loss(thing) and not immutable(thing.known):
                self._found(thing, text.format(thing.path), line, frame)

    def _used_up(self, thing: Thing, text: str, line: int, frame: Frame) -> None:
        """Somebody takes from this, which is a loss if others hold it and it is an iterator."""
        self.whereabouts.uses(thing)
        if is_shared_iterator(thing, certain=not text.startswith("next")):
            self._found(thing, text.format(thing.path), line, frame)

    # -- what symbols stand for -----------------------------------------------------------------------

    def resolve(self, symbol: Symbol, frame: Frame) -> list[Thing]:
        """Everything that a symbol may stand for; nothing for what is new and of no known type."""
        kind = symbol[0]
        if kind == CONST:
            return [Thing(None, "", symbol[1])]
        if kind == PARAM:
            return frame.parameters.get(symbol[1], [])
        if kind == FREE:
            return frame.free.get(symbol[1], [])
        found = frame.resolved.get(symbol)
        if found is None:
            found = frame.resolved[symbol] = self._looked_up(symbol, frame)
        return found

    def _looked_up(self, symbol: Symbol, frame: Frame) -> list[Thing]:
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise TooFar
        kind = symbol[0]
        if kind == GLOBAL:
            return [self._global(symbol[1], frame)]
        if kind == IMPORT:
            module = sys.modules.get(symbol[1])
            return [] if module is None else [Thing(GLOBAL_ROOT, symbol[1], module)]
        if kind == ATTR:
            return [attribute_thing(thing, symbol[2]) for thing in self.resolve(symbol[1], frame)]
        if kind == ITEM:
            return self._items(symbol[1], frame)
        if kind == EITHER:
            return [thing for each in symbol[1] for thing in self.resolve(each, frame)]
        if kind == CALL:
            return self._returned(symbol, frame)
        return []

    def _global(self, name: str, frame: Frame) -> Thing:
        if name in frame.globals:
            known = frame.globals[name]
            return Thing(GLOBAL_ROOT, name, known)
        return Thing(None, name, getattr(sys.modules["builtins"], name, UNKNOWN))

    def _items(self, base: Symbol, frame: Frame) -> list[Thing]:
        """What an element of a value may be."""
        if base[0] == TUPLE:
            return [thing for each in base[1] for thing in self.resolve(each, frame)]
        if base[0] == CALL and base[1][0] == GLOBAL and base[2]:
            if base[1][1] in mutators.SHALLOW:
                return self._items(base[2][-1], frame)
            if base[1][1] in mutators.WALKS:
                return [thing for each in base[2] for thing in self._items(each, frame)]
        return [
            thing._replace(path=f"{thing.path}[...]", known=UNKNOWN, kind=part_kind(thing))
            for thing in self.resolve(base, frame)
            if thing.root is not None
        ]

    def _returned(self, symbol: Symbol, frame: Frame) -> list[Thing]:
        """What a call may return; functions of the user's are followed for that."""
        _, callee, arguments, keywords = symbol
        if callee[0] == symbols.FUNCTION:
            return self._inner(callee, arguments, keywords, frame)
        found: list[Thing] = []
        if callee[0] == ATTR and callee[2] in mutators.PARTS | mutators.ELEMENTS:
            for thing in self.resolve(callee[1], frame):
                kind = part_kind(thing)
                if thing.root is not None and (kind or callee[2] in mutators.PARTS):
                    found.append(Thing(thing.root, f"{thing.path}.{callee[2]}(...)", UNKNOWN, kind))
        for thing in self.resolve(callee, frame):
            if thing.known is UNKNOWN:
                returns = thread_safe.RETURNS.get(thing.kind or "")
                if returns:
                    found.append(Thing(None, "", UNKNOWN, returns))
                continue
            found += self._returned_by(thing, callee, arguments, keywords, frame)
        return found

    def _returned_by(
        self,
        thing: Thing,
        callee: Symbol,
        arguments: tuple[Symbol, ...],
        keywords: tuple[str, ...],
        frame: Frame,
    ) -> list[Thing]:
        known = thing.known
        name = function_name(known)
        if name.startswith("builtins.") and type(known) is not FUNCTION:
            return self._returned_by_builtin(name.partition(".")[2], arguments, frame)
        given = [self.resolve(each, frame) for each in arguments]
        if type(known) is FUNCTION and callee[0] == ATTR:
            for owner in self.resolve(callee[1], frame):
                if type(owner.known) is not MODULE and lookup(type(owner.known), callee[2]) is known:
                    given = [[owner], *given]
        root = (thing.root, thing.path) if thing.root else None
        followed = self.follow(known, given, keywords, frame.depth + 1, root)
        if followed is not None:
            return followed
        returns = thread_safe.RETURNS.get(table_name(thing))
        return [Thing(None, "", UNKNOWN, returns)] if returns else []

    def _returned_by_builtin(self, name: str, arguments: tuple[Symbol, ...], frame: Frame) -> list[Thing]:
        if name == "globals":
            return [Thing(GLOBAL_ROOT, "globals()", frame.globals)]
        if not arguments:
            return []
        if name == "type" and len(arguments) == 1:
            given = self.resolve(arguments[0], frame)
            return [
                Thing(GLOBAL_ROOT, type(each.known).__name__, type(each.known))
                for each in given
                if each.known is not UNKNOWN
            ]
        if name == "getattr" and len(arguments) > 1 and arguments[1][0] == CONST:
            return [attribute_thing(each, str(arguments[1][1])) for each in self.resolve(arguments[0], frame)]
        if name == "next":
            return self._items(arguments[0], frame)
        if name in mutators.WALKS:
            kind = None if name == "vars" else mutators.ITERATOR
            return [
                each._replace(known=UNKNOWN, kind=kind)
                for symbol in arguments
                for each in self.resolve(symbol, frame)
            ]
        return []

    def _inner(
        self, function: Symbol, arguments: tuple[Symbol, ...], keywords: tuple[str, ...], frame: Frame
    ) -> list[Thing]:
        """A function that was made on the way: what it captured are variables of this frame, or of one around it."""
        _, code, captured = function
        free = {name: self.resolve(symbol, frame) for name, symbol in captured}
        rebound = {
            name: symbol[0] == FREE and frame.rebound.get(symbol[1], False) for name, symbol in captured
        }
        parameters = bound(code, [self.resolve(each, frame) for each in arguments], keywords)
        return self._judge(Frame(code, frame.globals, parameters, free, rebound, frame.depth, {}))

    # -- where it may run -----------------------------------------------------------------------------

    def _judge_comparison(self, pair: tuple[Symbol, Symbol], frame: Frame) -> None:
        if not all(map(symbols.is_plain, pair)):
            return
        for left in self.resolve(pair[0], frame):
            for right in self.resolve(pair[1], frame):
                self.whereabouts.compares(left, right)

    def _judge_safety(self, call: Call, callees: list[Thing], frame: Frame) -> None:
        if self.unsafe is not None or call.symbol[1][0] == symbols.FUNCTION:
            return
        if not callees or (call.symbol[3] and "probability" in call.symbol[3]):
            self._doubt("it calls what could not be followed")
        for thing in callees:
            name = table_name(thing)
            known = thing.known
            followed = type(known) is FUNCTION and is_users_code(known.__code__)
            self.computes_beside = self.computes_beside or name in thread_safe.RETURNS
            if not (followed or name in thread_safe.RETURNS or name in thread_safe.PLAIN):
                self._doubt(
                    f"{name or thing.path or 'something it calls'} is not in the table of thread-safe operations"
                )

    def _judge_name(self, symbol: Symbol, frame: Frame) -> None:
        for thing in self.resolve(symbol, frame):
            known = thing.known
            self.whereabouts.uses(thing)
            if self.unsafe is not None:
                continue
            if known is UNKNOWN or callable(known) or type(known) is MODULE or thing.root is None:
                continue
            if not is_plain_data(known):
                self._doubt(f"{thing.path} is of type {type(known).__name__}")
