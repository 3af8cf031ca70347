"""Why something cannot travel: finds the part that pickle refuses and says it in a sentence.

Used only after pickling has failed, so it may take its time: it tries the parts of a thing one by one and
follows the first that cannot be pickled either, down to the smallest.
"""

from __future__ import annotations

import contextlib
import functools
import types

from allcores.errors import Unpicklable
from allcores.tasks.pickling import travels

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from allcores.tasks.task import Task

DEPTH = 8
MOST_PARTS = 10_000


def unpicklable_function(task: Task, error: BaseException) -> Unpicklable:
    """The error for a function that cannot travel to a worker."""
    functions = [function for _, function in task.stages]
    if task.reduction is not None:
        functions += [task.reduction.fold, task.reduction.merge]
    function = next((each for each in functions if not travels(each)), functions[0] if functions else task)
    name = _name(function)
    steps, culprit = _follow(function)
    path = name + "".join(step for step, _ in steps)
    if steps:
        where = steps[0][1] + "".join(step for step, _ in steps[1:])
        reason = f"its {where} is {_a(culprit)}, which cannot be pickled"
    else:
        reason = f"{_short(error)}"
    message = (
        f"the function {_shown(function, name)} cannot travel to a worker process: {reason}. "
        f"{_remedy(culprit, 'Create it inside the function')}, or use engine='threads' (without timeout)."
    )
    return Unpicklable(message, "function", path)


def unpicklable_replacement(place: str, value: Any, error: BaseException) -> Unpicklable:
    """The error for a function of ``__main__`` that was put into a module in place of another and cannot travel."""
    steps, culprit = _follow(value)
    reason = f"its {steps[0][1]} is {_a(culprit)}, which cannot be pickled" if steps else _short(error)
    message = (
        f"`{place}` was replaced by a function of the main script that cannot travel to a worker process: {reason}. "
        "Move it into a module that can be imported, or use engine='threads' (without timeout)."
    )
    return Unpicklable(message, "function", place)


def unpicklable_item(item: Any, index: int, error: BaseException) -> Unpicklable:
    """The error for an item that cannot travel to a worker."""
    path, reason, culprit = _part("item", item, error)
    remedy = "Send what it is made from (a path, an address, plain data) and create it in the function"
    message = (
        f"item {index} cannot travel to a worker process: {reason}. {_remedy(culprit, remedy)}, "
        "or use engine='threads' (without timeout)."
    )
    return Unpicklable(message, "item", path, index)


def unpicklable_call(
    function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], error: Unpicklable
) -> Unpicklable:
    """The error for a call of an executor that cannot travel to a worker, after its item has been refused."""
    from allcores.tasks.task import MAP, Task

    if not travels(function):
        return unpicklable_function(Task(((MAP, function),)), error.__cause__ or error)
    arguments: dict[Any, Any] = {**dict(enumerate(args)), **kwargs}
    path, reason, culprit = _part("arguments", arguments, error.__cause__ or error)
    if travels(arguments):
        return error  # a definition that it needs
    remedy = "Send what it is made from (a path, an address, plain data) and create it in the function"
    message = (
        f"a call of `{_name(function)}` cannot travel to a worker process: {reason}. "
        f"{_remedy(culprit, remedy)}, or use engine='threads' (without timeout)."
    )
    return Unpicklable(message, "item", path)


def unpicklable_result(output: Any, index: int, error: BaseException) -> Unpicklable:
    """The error for a result that cannot travel back to the caller."""
    path, reason, culprit = _part("result", output, error)
    message = (
        f"the result of item {index} cannot travel back from its worker process: {reason}. "
        f"{_remedy(culprit, 'Return plain data instead')}, or use engine='threads' (without timeout)."
    )
    return Unpicklable(message, "result", path, index)


def unpicklable_definitions(definitions: dict[str, Any], index: int, error: BaseException) -> Unpicklable:
    """The error for a class of ``__main__`` that items need and that cannot travel."""
    name = next((name for name, value in definitions.items() if not travels(value)), ", ".join(definitions))
    message = (
        f"`{name}`, which item {index} needs, cannot travel to a worker process: {_short(error)}. "
        "Move it into a module that can be imported, or use engine='threads' (without timeout)."
    )
    return Unpicklable(message, "item", f"__main__.{name}", index)


def item_not_rebuilt(index: int, error: BaseException) -> Unpicklable:
    """The error for an item that arrived in a worker and could not be made an object again."""
    if isinstance(error, MemoryError):
        message = (
            f"a worker process has not enough memory for item {index} and what travels with it. "
            "Use a smaller chunksize, or fewer workers (n_jobs), or engine='threads'."
        )
        return Unpicklable(message, "item", "item", index)
    message = (
        f"item {index} cannot be rebuilt in a worker process: {_short(error)}. "
        "Make its class importable there and its pickling complete (see __reduce__), "
        "or use engine='threads' (without timeout)."
    )
    return Unpicklable(message, "item", "item", index)


def result_not_rebuilt(index: int, error: BaseException) -> Unpicklable:
    """The error for a result that arrived in the caller and could not be made an object again."""
    if isinstance(error, MemoryError):
        remedy = "There is not enough memory: return less, or take results one by one from ac.par(...)."
    else:
        remedy = (
            "Make its class importable here and its pickling complete (see __reduce__), or return plain data."
        )
    message = f"the result of item {index} arrived and cannot be rebuilt here: {_short(error)}. {remedy}"
    return Unpicklable(message, "result", "result", index)


def _part(what: str, value: Any, error: BaseException) -> tuple[str, str, Any]:
    steps, culprit = _follow(value)
    path = what + "".join(step for step, _ in steps)
    if isinstance(error, RecursionError) or "recursion" in str(error):
        return path, f"`{path}` is nested too deeply for pickle", None
    if steps:
        return path, f"`{path}` is {_a(culprit)}, which cannot be pickled", culprit
    return path, f"it is {_a(value)}, which cannot be pickled ({_short(error)})", culprit


def _remedy(culprit: Any, otherwise: str) -> str:
    if _is(culprit, types.GeneratorType):
        return "Make it a list"
    if type(culprit) is memoryview:
        return "Write view.tobytes() or view.tolist() in its place, or a NumPy array"
    return otherwise


def _follow(value: Any) -> tuple[list[tuple[str, str]], Any]:
    """The steps (as code, as words) from a thing to its smallest part that cannot be pickled, and that part."""
    steps: list[tuple[str, str]] = []
    seen = {id(value)}
    for _ in range(DEPTH):
        found = None
        with contextlib.suppress(Exception):  # it may not even let itself be looked at
            found = next((p for p in _parts(value) if id(p[2]) not in seen and not travels(p[2])), None)
        if found is None:
            break
        seen.add(id(found[2]))
        steps.append(found[:2])
        value = found[2]
    return steps, value


def _is(value: Any, kinds: Any) -> bool:
    """What ``isinstance`` says where it asks nothing of the value itself."""
    return issubclass(type(value), kinds)


def _parts(value: Any) -> Iterator[tuple[str, str, Any]]:
    """The parts of a thing, each with its way there in code and in words."""
    if _is(value, types.FunctionType):
        yield from _parts_of_function(value)
    elif _is(value, types.MethodType):
        yield ".__self__", "object `self`", value.__self__
        yield ".__func__", "function", value.__func__
    elif _is(value, functools.partial):
        yield ".func", "function", value.func
        for position, argument in enumerate(value.args):
            yield f".args[{position}]", f"argument {position}", argument
        for name, argument in value.keywords.items():
            yield f".keywords[{name!r}]", f"keyword argument {name!r}", argument
    elif _is(value, dict):
        for key, part in list(value.items())[:MOST_PARTS]:
            yield f"[{_brief(key)}]", f"value at {_brief(key)}", part
            yield f".key({_brief(key)})", f"key {_brief(key)}", key
    elif _is(value, list | tuple | set | frozenset):
        for position, part in enumerate(list(value)[:MOST_PARTS]):
            yield f"[{position}]", f"element {position}", part
    else:
        yield from _parts_of_object(value)


def _parts_of_function(function: types.FunctionType) -> Iterator[tuple[str, str, Any]]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            yield f".__closure__[{name!r}]", f"captured variable {name!r}", cell.cell_contents
        except ValueError:
            pass  # not assigned yet
    names = _names(function.__code__)
    for name in names:
        if name in function.__globals__ and function.__globals__[name] is not function:
            yield f".__globals__[{name!r}]", f"global variable {name!r}", function.__globals__[name]
    for position, default in enumerate(function.__defaults__ or ()):
        yield f".__defaults__[{position}]", f"default {position}", default
    for name, default in (function.__kwdefaults__ or {}).items():
        yield f".__kwdefaults__[{name!r}]", f"default of {name!r}", default
    for name, attribute in function.__dict__.items():
        yield f".{name}", f"attribute {name!r}", attribute


def _names(code: types.CodeType) -> list[str]:
    names = list(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names += _names(constant)
    return names


def _parts_of_object(value: Any) -> Iterator[tuple[str, str, Any]]:
    try:
        attributes = dict(vars(value))
    except TypeError:
        attributes = {}
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if isinstance(name, str) and not name.startswith("__") and hasattr(value, name):
                attributes.setdefault(name, getattr(value, name))
    if _is(value, BaseException):
        yield from (
            (f".args[{position}]", f"argument {position}", part) for position, part in enumerate(value.args)
        )
    for name, part in attributes.items():
        yield f".{name}", f"attribute {name!r}", part


def _name(function: Any) -> str:
    name = getattr(function, "__qualname__", None) or getattr(function, "__name__", None)
    if name is None and isinstance(function, functools.partial):
        return f"partial({_name(function.func)})"
    return str(name or type(function).__qualname__).replace("<locals>.", "")


def _shown(function: Any, name: str) -> str:
    """A function's name and, for those that have none of their own, where it stands."""
    code = getattr(function, "__code__", None)
    if code is None or "<lambda>" not in name:
        return f"`{name}`"
    return f"`{name}` (line {code.co_firstlineno} of {code.co_filename.rpartition('/')[2]})"


def _a(value: Any) -> str:
    kind = type(value)
    module = "" if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}."
    name = f"{module}{kind.__qualname__}"
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def _brief(key: Any) -> str:
    try:
        text = repr(key)
    except Exception:
        text = f"<{type(key).__name__}>"
    return text if len(text) <= 40 else text[:37] + "..."


def _short(error: BaseException) -> str:
    text = ""
    with contextlib.suppress(Exception):  # it may be an exception of the user's
        text = str(error).strip().rstrip(".")
    first = text.splitlines()[0] if text else ""
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
