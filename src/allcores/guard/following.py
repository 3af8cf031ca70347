"""What each instruction does to the state: one function for each kind of them."""

from __future__ import annotations

import sys

from allcores.guard import symbols
from allcores.guard.bytecode import Instruction, net_effect
from allcores.guard.state import State
from allcores.guard.symbols import (
    ATTRIBUTE_WRITE,
    CONST,
    FREE,
    FUNCTION,
    GLOBAL,
    IMPORT,
    IN_PLACE,
    ITEM_WRITE,
    NEW,
    NULL,
    REBINDING,
    TUPLE,
    Symbol,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from allcores.guard.summary import Reading

METHOD_BIT = sys.version_info >= (3, 12)  # LOAD_ATTR says in its lowest bit whether a call follows
SEPARATE_ATTRIBUTES = sys.version_info >= (3, 13)  # SET_FUNCTION_ATTRIBUTE stands behind MAKE_FUNCTION
FIRST_IN_PLACE = 13  # of BINARY_OP's operators
IN_PLACE_METHODS = (  # in the order of NB_INPLACE_... in CPython's opcode.h
    *("__iadd__", "__iand__", "__ifloordiv__", "__ilshift__", "__imatmul__", "__imul__", "__imod__"),
    *("__ior__", "__ipow__", "__irshift__", "__isub__", "__itruediv__", "__ixor__"),
)
GENERATOR = 0x20
SPREAD = ("*",)  # in place of keywords: the arguments were unpacked, nobody knows to which parameters
# Instructions that leave nothing behind on the stack.
CONSUMING = (
    *("POP_", "JUMP_", "STORE_", "DELETE_", "LIST_", "SET_", "MAP_", "DICT_", "END_", "RERAISE", "RAISE_"),
    *("NOP", "RESUME", "COPY_FREE_VARS", "MAKE_CELL", "RETURN_"),
)
_CODE: Any = type((lambda: None).__code__)


def unknown(reading: Reading, each: Instruction, state: State) -> None:
    """Any other instruction: the stack gets as high as it should, and on top of it is something new."""
    net = net_effect(each)
    if each.name.startswith(CONSUMING):
        state.pop_many(-net)
        return
    made = symbols.made_of(*state.stack[-2:])
    if net <= 0:
        state.pop_many(1 - net)
        state.push(made)
    else:
        state.stack.extend([made] * net)


def _load(reading: Reading, each: Instruction, state: State) -> None:
    state.push(reading.load(reading.names[each.arg], state))


def _load_two(reading: Reading, each: Instruction, state: State) -> None:
    for number in (each.arg >> 4, each.arg & 15):
        state.push(reading.load(reading.names[number], state))


def _store(reading: Reading, each: Instruction, state: State) -> None:
    reading.store(reading.names[each.arg], state, each.line, state.pop())


def _store_and_load(reading: Reading, each: Instruction, state: State) -> None:
    reading.store(reading.names[each.arg >> 4], state, each.line, state.pop())
    state.push(reading.load(reading.names[each.arg & 15], state))


def _store_two(reading: Reading, each: Instruction, state: State) -> None:
    for number in (each.arg >> 4, each.arg & 15):
        reading.store(reading.names[number], state, each.line, state.pop())


def _delete(reading: Reading, each: Instruction, state: State) -> None:
    name = reading.names[each.arg]
    if name in reading.free:
        reading.write(REBINDING, (FREE, name), name, each.line, state, symbols.NEW_OF_PARAMETERS)
    else:
        state.variables[name] = NEW


def _load_and_clear(reading: Reading, each: Instruction, state: State) -> None:
    name = reading.names[each.arg]
    state.push(state.variables.get(name, NEW))
    state.variables[name] = NEW


def _load_global(reading: Reading, each: Instruction, state: State) -> None:
    symbol = (GLOBAL, reading.code.co_names[each.arg >> 1])
    reading.loaded.add(symbol)
    if each.arg & 1:
        state.push(NULL)
    state.push(symbol)


def _import(reading: Reading, each: Instruction, state: State) -> None:
    names, level = state.pop(), state.pop()
    name = reading.code.co_names[each.arg]
    if level != (CONST, 0):
        state.push(NEW)
    else:
        state.push((IMPORT, name if names != (CONST, None) else name.partition(".")[0]))


def _import_from(reading: Reading, each: Instruction, state: State) -> None:
    state.push(symbols.attribute(state.stack[-1] if state.stack else NEW, reading.code.co_names[each.arg]))


def _load_name(reading: Reading, each: Instruction, state: State) -> None:
    symbol = (GLOBAL, reading.code.co_names[each.arg])
    state.push(state.variables.get(str(symbol[1]), symbol))


def _store_name(reading: Reading, each: Instruction, state: State) -> None:
    state.variables[reading.code.co_names[each.arg]] = state.pop()


def _begin_annotations(reading: Reading, each: Instruction, state: State) -> None:
    state.variables["__annotations__"] = NEW  # a class's own, which its body fills


def _store_global(reading: Reading, each: Instruction, state: State) -> None:
    name = reading.code.co_names[each.arg]
    value = state.pop() if each.name == "STORE_GLOBAL" else symbols.NEW_OF_PARAMETERS
    reading.write(REBINDING, (GLOBAL, name), name, each.line, state, value)


def _load_attribute(reading: Reading, each: Instruction, state: State) -> None:
    method = each.name == "LOAD_METHOD" or (METHOD_BIT and bool(each.arg & 1))
    number = each.arg >> 1 if METHOD_BIT and each.name == "LOAD_ATTR" else each.arg
    state.push(symbols.attribute(state.pop(), reading.code.co_names[number]))
    if method:
        state.push(NULL)


def _store_attribute(reading: Reading, each: Instruction, state: State) -> None:
    owner = state.pop()
    value = state.pop() if each.name == "STORE_ATTR" else symbols.NEW_OF_PARAMETERS
    reading.write(ATTRIBUTE_WRITE, owner, reading.code.co_names[each.arg], each.line, state, value)


def _store_item(reading: Reading, each: Instruction, state: State) -> None:
    if each.name == "STORE_SLICE":
        state.pop_many(2)
    else:
        state.pop()
    owner = state.pop()
    value = NEW if each.name == "DELETE_SUBSCR" else state.pop()
    kind = "del" if each.name == "DELETE_SUBSCR" else "="
    reading.write(ITEM_WRITE, owner, kind, each.line, state, value)


def _load_item(reading: Reading, each: Instruction, state: State) -> None:
    state.pop_many(2 if each.name == "BINARY_SLICE" else 1)
    owner = state.pop()
    reading.reads.add(owner)
    state.push(symbols.item(owner))


def _operate(reading: Reading, each: Instruction, state: State) -> None:
    right, left = state.pop(), state.pop()
    if each.arg < FIRST_IN_PLACE:
        state.push(symbols.made_of(left, right))
        return
    name = IN_PLACE_METHODS[each.arg - FIRST_IN_PLACE]
    if left[0] not in (symbols.FRESH, CONST):
        reading.write(IN_PLACE, left, name, each.line, state, symbols.made_of(right))
    state.push(symbols.either(left, symbols.made_of(left, right)))


def _begin_loop(reading: Reading, each: Instruction, state: State) -> None:
    if state.stack:
        reading.loops_over(state.stack[-1], each.line)


def _iterate(reading: Reading, each: Instruction, state: State) -> None:
    state.push(symbols.item(state.stack[-1] if state.stack else NEW))


def _unpack(reading: Reading, each: Instruction, state: State) -> None:
    whole = state.pop()
    if whole[0] == TUPLE and len(whole[1]) == each.arg and each.name == "UNPACK_SEQUENCE":
        state.stack.extend(reversed(whole[1]))
        return
    count = each.arg if each.name == "UNPACK_SEQUENCE" else (each.arg & 255) + 1 + (each.arg >> 8)
    state.stack.extend([symbols.item(whole)] * count)


def _build(reading: Reading, each: Instruction, state: State) -> None:
    state.push((TUPLE, tuple(state.pop_many(each.arg))))


def _build_map(reading: Reading, each: Instruction, state: State) -> None:
    state.push((TUPLE, tuple(state.pop_many(2 * each.arg)[1::2])))


def _call(reading: Reading, each: Instruction, state: State) -> None:
    if each.name == "CALL_KW":
        names = state.pop()
        reading.keywords = names[1] if names[0] == CONST else ()
    arguments = state.pop_many(each.arg)
    second, first = state.pop(), state.pop()
    if first == NULL:
        callee = second
    else:
        callee = first
        if second != NULL:
            arguments.insert(0, second)
    reading.call(callee, arguments, each.line, state)


def _call_spread(reading: Reading, each: Instruction, state: State) -> None:
    keywords = [symbols.item(state.pop())] if each.arg & 1 else []
    arguments = state.pop()
    second, first = state.pop(), state.pop()
    spread = list(arguments[1]) if arguments[0] == TUPLE else [symbols.item(arguments)]
    reading.keywords = SPREAD
    reading.call(second if first == NULL else first, [*spread, *keywords], each.line, state)


def _make_function(reading: Reading, each: Instruction, state: State) -> None:
    code = state.pop()
    captured: Symbol = (TUPLE, ())
    if not SEPARATE_ATTRIBUTES:
        if each.arg & 8:
            captured = state.pop()
        state.pop_many((each.arg & 7).bit_count())
    state.push(_function(reading, code, captured, each.line))


def _set_function_attribute(reading: Reading, each: Instruction, state: State) -> None:
    function, value = state.pop(), state.pop()
    if each.arg == 8 and function[0] == FUNCTION:
        function = _function(reading, (CONST, function[1]), value, each.line)
    state.push(function)


def _function(reading: Reading, code: Symbol, captured: Symbol, line: int) -> Symbol:
    """A function that is made here is taken to be called as well, wherever it goes."""
    if code[0] != CONST or not isinstance(code[1], _CODE):
        return NEW
    free = code[1].co_freevars
    cells = captured[1] if captured[0] == TUPLE else ()
    if len(cells) != len(free):
        return (FUNCTION, code[1], ())
    function = (FUNCTION, code[1], tuple(zip(free, cells, strict=True)))
    reading.called((symbols.CALL, function, (), ()), line)
    return function


def _return(reading: Reading, each: Instruction, state: State) -> None:
    if each.name == "RETURN_VALUE":
        value = state.pop()
        if not reading.code.co_flags & GENERATOR:  # of a generator it is of no interest
            reading.returned.append(value)
    elif each.name == "YIELD_VALUE":
        reading.returned.append((TUPLE, (state.pop(),)))
        state.push(NEW)


def _constant(reading: Reading, each: Instruction, state: State) -> None:
    state.push((CONST, reading.code.co_consts[each.arg]))


def _keyword_names(reading: Reading, each: Instruction, state: State) -> None:
    reading.keywords = reading.code.co_consts[each.arg]


def _compare_identity(reading: Reading, each: Instruction, state: State) -> None:
    right, left = state.pop(), state.pop()
    reading.compared.add((left, right))
    state.push(symbols.made_of(left, right))


def _copy(reading: Reading, each: Instruction, state: State) -> None:
    state.push(state.stack[-each.arg] if each.arg <= len(state.stack) else NEW)


def _swap(reading: Reading, each: Instruction, state: State) -> None:
    if each.arg <= len(state.stack):
        stack = state.stack
        stack[-1], stack[-each.arg] = stack[-each.arg], stack[-1]


def _push_null(reading: Reading, each: Instruction, state: State) -> None:
    state.push(NULL)


def _nothing(reading: Reading, each: Instruction, state: State) -> None:
    pass


FOLLOWED: dict[str, Callable[[Reading, Instruction, State], None]] = {
    **dict.fromkeys(
        ("LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_FAST_BORROW", "LOAD_DEREF", "LOAD_CLOSURE"), _load
    ),
    **dict.fromkeys(("LOAD_FAST_LOAD_FAST", "LOAD_FAST_BORROW_LOAD_FAST_BORROW"), _load_two),
    "LOAD_FAST_AND_CLEAR": _load_and_clear,
    **dict.fromkeys(("STORE_FAST", "STORE_DEREF"), _store),
    "STORE_FAST_LOAD_FAST": _store_and_load,
    "STORE_FAST_STORE_FAST": _store_two,
    **dict.fromkeys(("DELETE_FAST", "DELETE_DEREF"), _delete),
    "LOAD_GLOBAL": _load_global,
    "IMPORT_NAME": _import,
    "IMPORT_FROM": _import_from,
    "LOAD_NAME": _load_name,
    "STORE_NAME": _store_name,
    "SETUP_ANNOTATIONS": _begin_annotations,
    **dict.fromkeys(("STORE_GLOBAL", "DELETE_GLOBAL"), _store_global),
    **dict.fromkeys(("LOAD_ATTR", "LOAD_METHOD"), _load_attribute),
    **dict.fromkeys(("STORE_ATTR", "DELETE_ATTR"), _store_attribute),
    **dict.fromkeys(("STORE_SUBSCR", "DELETE_SUBSCR", "STORE_SLICE"), _store_item),
    **dict.fromkeys(("BINARY_SUBSCR", "BINARY_SLICE"), _load_item),
    "BINARY_OP": _operate,
    "FOR_ITER": _iterate,
    **dict.fromkeys(("UNPACK_SEQUENCE", "UNPACK_EX"), _unpack),
    **dict.fromkeys(("BUILD_TUPLE", "BUILD_LIST", "BUILD_SET"), _build),
    "BUILD_MAP": _build_map,
    **dict.fromkeys(("CALL", "CALL_KW"), _call),
    "CALL_FUNCTION_EX": _call_spread,
    "MAKE_FUNCTION": _make_function,
    "SET_FUNCTION_ATTRIBUTE": _set_function_attribute,
    **dict.fromkeys(("RETURN_VALUE", "YIELD_VALUE"), _return),
    "LOAD_CONST": _constant,
    "KW_NAMES": _keyword_names,
    "IS_OP": _compare_identity,
    "COPY": _copy,
    "SWAP": _swap,
    "PUSH_NULL": _push_null,
    **dict.fromkeys(("GET_ITER", "GET_YIELD_FROM_ITER"), _begin_loop),
    **dict.fromkeys(("PRECALL", "TO_BOOL", "RETURN_CONST"), _nothing),
}
