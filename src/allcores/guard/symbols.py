"""Values as an analysis knows them: not what they are, but where they come from.

A symbol is a tuple whose first element is its kind::

    (FRESH, depends)          made here; ``depends``: on what a parameter held
    (CONST, value)
    (PARAM, name)  (GLOBAL, name)  (FREE, name)
    (IMPORT, name)            a module that is imported here
    (ATTR, base, name)        an attribute
    (ITEM, base)              an element
    (CALL, callee, arguments, keywords)
    (TUPLE, elements)
    (FUNCTION, code, captured)   a function made here; ``captured``: pairs of a name and a symbol
    (EITHER, symbols)         one of several, by the way that was taken
    (NULL,)                   the interpreter's placeholder below a callee
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

Symbol = tuple["Any", ...]

FRESH, CONST, PARAM, GLOBAL, FREE, IMPORT = "fresh", "const", "param", "global", "free", "import"
ATTR, ITEM, CALL, TUPLE, FUNCTION, EITHER = "attr", "item", "call", "tuple", "function", "either"

# How something is written: into an item, into an attribute, by an operator in place, or the name itself.
ITEM_WRITE, ATTRIBUTE_WRITE, IN_PLACE, REBINDING = "item", "attribute", "in place", "rebinding"
ITERATION = "iteration"  # what is looped over is used up, if it is an iterator

NEW: Symbol = (FRESH, False)
NEW_OF_PARAMETERS: Symbol = (FRESH, True)
NULL: Symbol = ("null",)

MOST_ALTERNATIVES = 4
DEEPEST = 12


def attribute(base: Symbol, name: str) -> Symbol:
    """An attribute of a value."""
    if base[0] == FRESH:
        return base
    return (ATTR, base, name) if depth(base) < DEEPEST else base


def item(base: Symbol) -> Symbol:
    """An element of a value."""
    if base[0] == FRESH:
        return base
    if base[0] == TUPLE:
        return either(*base[1]) if base[1] else NEW
    return (ITEM, base) if depth(base) < DEEPEST else base


def call(callee: Symbol, arguments: tuple[Symbol, ...], keywords: tuple[str, ...]) -> Symbol:
    """What a call returns."""
    whole = (CALL, callee, arguments, keywords)
    return whole if depth(whole) <= DEEPEST else made_of(callee, *arguments)


def depth(symbol: Symbol) -> int:
    """How many steps a symbol is away from a name; what is imported from a module is one."""
    kind = symbol[0]
    if kind == ATTR and symbol[1][0] == IMPORT:
        return 0
    if kind in (ATTR, ITEM):
        return 1 + depth(symbol[1])
    if kind == CALL:
        return 1 + max([depth(symbol[1]), *map(depth, symbol[2])])
    if kind in (TUPLE, EITHER):
        return 1 + max(map(depth, symbol[1]), default=0)
    return 0


def is_plain(symbol: Symbol) -> bool:
    """Whether it is a variable, or a part of one, that nobody had to be called for."""
    while symbol[0] in (ATTR, ITEM):
        symbol = symbol[1]
    return symbol[0] in (PARAM, GLOBAL, FREE, IMPORT)


def either(*symbols: Symbol) -> Symbol:
    """One of these."""
    found: list[Symbol] = []
    for symbol in symbols:
        for each in symbol[1] if symbol[0] == EITHER else (symbol,):
            if each not in found:
                found.append(each)
    if len(found) == 1:
        return found[0]
    return (EITHER, tuple(found[:MOST_ALTERNATIVES]))


def made_of(*symbols: Symbol) -> Symbol:
    """A new value that was computed from these."""
    return NEW_OF_PARAMETERS if any(map(depends, symbols)) else NEW


def depends(symbol: Symbol) -> bool:
    """Whether a value depends on what a parameter held (``self`` aside)."""
    kind = symbol[0]
    if kind == FRESH:
        return bool(symbol[1])
    if kind == PARAM:
        return symbol[1] not in ("self", "cls")
    if kind in (ATTR, ITEM):
        return depends(symbol[1])
    if kind == CALL:
        return depends(symbol[1]) or any(map(depends, symbol[2]))
    if kind in (TUPLE, EITHER):
        return any(map(depends, symbol[1]))
    if kind == FUNCTION:
        return any(depends(captured) for _, captured in symbol[2])
    return False
