"""How an exception of the user's comes back from a worker.

It arrives with its own type and its own chain of causes; at the chain's end stands a ``RemoteTraceback`` with the
text that the worker's traceback had. A worker sends the frames of a traceback and not its text: the caller, who
may know sources that the worker does not (notebook cells), writes it, and a worker need not import
``traceback``. What cannot be pickled, or not rebuilt (see ``rebuilding``), arrives as ``RemoteError`` with all the
text.
"""

from __future__ import annotations

import contextlib
import copyreg

from allcores.tasks import tracebacks
from allcores.tasks.pickling import PROTOCOL, dump_result, dumps, loads
from allcores.tasks.tracebacks import is_hidden

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any

    Place = tuple[str, int, str, int | None, int | None, int | None]  # file, line, name, end line, columns

CAUSE, CONTEXT, END = "cause", "context", ""
LONGEST_CHAIN = 32
MOST_FRAMES = 100  # of one traceback; a RecursionError has thousands

_BETWEEN = {
    CAUSE: "\nThe above exception was the direct cause of the following exception:\n\n",
    CONTEXT: "\nDuring handling of the above exception, another exception occurred:\n\n",
}


def dump_error(error: BaseException) -> bytes:
    """An exception and its chain as bytes, in a worker; never raises but for lack of memory."""
    links: list[tuple[Any, ...]] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen and len(links) < LONGEST_CHAIN:
        seen.add(id(current))
        following, relation = _next(current)
        if following is None or id(following) in seen:
            following, relation = None, END
        pickled = _pickled(current)
        links.append(
            (
                pickled,
                _type_name(type(current)),
                _message(current),
                _notes(current),
                _places(tracebacks.TRACEBACK.__get__(current)),
                relation,
                tracebacks.SUPPRESSES.__get__(current),
                "" if pickled is not None else _advice(current),
            )
        )
        current = following
    return dumps(links, PROTOCOL)


def load_error(data: Any, index: int | None) -> BaseException:
    """The exception again, in the caller: with a note that names the item, and the remote traceback."""
    from allcores.errors import RemoteTraceback

    links = loads(data)
    text = _text(links)
    chain = [_rebuilt(link, index if position == 0 else None, text) for position, link in enumerate(links)]
    for position, error in enumerate(chain):
        following = chain[position + 1] if position + 1 < len(chain) else None
        relation, suppress = links[position][5], links[position][6]
        if following is not None:
            tracebacks.CONTEXT.__set__(error, following)
            if relation == CAUSE:
                tracebacks.CAUSE.__set__(error, following)
        tracebacks.SUPPRESSES.__set__(error, suppress or relation == CAUSE)
    tracebacks.CAUSE.__set__(_last_cause(chain[0]), RemoteTraceback(text))
    if index is not None:
        from allcores.tasks.ledger import note_of

        with contextlib.suppress(Exception):  # its class may let nobody add anything
            chain[0].add_note(note_of(chain[0], index))
    return chain[0]


def _next(error: BaseException) -> tuple[BaseException | None, str]:
    cause, context = tracebacks.CAUSE.__get__(error), tracebacks.CONTEXT.__get__(error)
    if cause is not None:
        return cause, CAUSE
    if context is not None and not tracebacks.SUPPRESSES.__get__(error):
        return context, CONTEXT
    return None, END


def _notes(error: BaseException) -> list[str]:
    """The notes as Python would print them; they may be anything, and may not be readable at all."""
    with contextlib.suppress(Exception):
        notes = getattr(error, "__notes__", ())
        return [str(note) for note in notes] if isinstance(notes, list | tuple) else [repr(notes)]
    return []


def _pickled(error: BaseException) -> bytes | None:
    """The exception's pickle, if loading it gives an exception of the same type; best with the same message, too."""
    from allcores.tasks.rebuilding import reduce_bare, reduce_own

    kept = None
    ways: tuple[Callable[[], bytes], ...] = (
        lambda: dump_result(error, 0, reduce_own) if _is_registered(error) else dumps(error, PROTOCOL),
        lambda: dump_result(error, 0, reduce_own),
        lambda: dump_result(error, 0, reduce_bare),
    )
    for dump in ways:
        try:
            data = dump()
            loaded = loads(data)
        except Exception:
            continue
        if type(loaded) is type(error):
            if _message(loaded) == _message(error):
                return data
            kept = kept or data
    return kept


def _is_registered(error: BaseException) -> bool:
    """Whether somebody has said for its class how to pickle it: tblib does so for all, with causes and tracebacks."""
    return type(error) in copyreg.dispatch_table


def _advice(error: BaseException) -> str:
    """What to do about an exception that cannot be pickled and rebuilt."""
    try:
        dump_result(error, 0)
    except Exception as refusal:
        part = str(getattr(refusal, "path", "")).replace("result", "the exception", 1)
        return f"Keep what cannot be pickled out of it ({part}: {_message(refusal.__cause__ or refusal)})"
    return f"To get a {_type_name(type(error))}, let the __reduce__ of its class say how one is made"


def _type_name(kind: type) -> str:
    module = getattr(kind, "__module__", "builtins")
    return kind.__qualname__ if module in ("builtins", "__main__") else f"{module}.{kind.__qualname__}"


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "<its message cannot be read: __str__ fails>"


def _places(trace: TracebackType | None) -> list[Place]:
    """The frames of a traceback, our own ones left out."""
    places: list[Place] = []
    while trace is not None:
        code = trace.tb_frame.f_code
        if not is_hidden(code):
            position: tuple[int | None, ...] = (None, None, None, None)
            for number, each in enumerate(code.co_positions()):
                if number == trace.tb_lasti // 2:
                    position = each
                    break
            places.append((code.co_filename, trace.tb_lineno, code.co_name, *position[1:]))  # type: ignore[arg-type]
        trace = trace.tb_next
    if len(places) > MOST_FRAMES:
        half = MOST_FRAMES // 2
        left_out = ("<frames left out>", len(places) - 2 * half, "...", None, None, None)
        places = [*places[:half], left_out, *places[-half:]]
    return places


def _rebuilt(link: Any, index: int | None, text: str) -> BaseException:
    from allcores.errors import RemoteError

    pickled, type_name, message, notes = link[:4]
    advice = link[-1]
    if pickled is not None:
        try:
            error = loads(pickled)
            if isinstance(error, BaseException):
                if notes and not hasattr(error, "__notes__"):
                    error.__notes__ = list(notes)  # its __reduce__ leaves them out
                return error
        except Exception:
            pass
    where = "" if index is None else f" by item {index}"
    shown = f"{type_name}: {message}" if message else type_name
    missing = RemoteError(
        f"{shown}\n(raised{where} in a worker; the exception itself cannot be pickled and rebuilt, "
        f"so this stands for it. {advice or f'Make {type_name} importable here'})",
        type_name,
        text,
        index,
    )
    for note in notes:
        missing.add_note(note)
    return missing


def _last_cause(error: BaseException) -> BaseException:
    seen = {id(error)}
    while (cause := tracebacks.CAUSE.__get__(error)) is not None and id(cause) not in seen:
        error = cause
        seen.add(id(error))
    return error


def _text(links: Any) -> str:
    """What Python would have printed in the worker."""
    import traceback

    parts: list[str] = []
    for _, type_name, message, notes, places, relation, *_ in reversed(links):
        if relation:
            parts.append(_BETWEEN[relation])
        if places:
            frames = [
                traceback.FrameSummary(
                    file, line, name, lookup_line=False, end_lineno=end, colno=column, end_colno=end_column
                )
                for file, line, name, end, column, end_column in places
            ]
            parts.append("Traceback (most recent call last):\n")
            parts.extend(traceback.StackSummary.from_list(frames).format())
        parts.append(f"{type_name}: {message}\n" if message else f"{type_name}\n")
        parts.extend(f"{note}\n" for note in notes)
    return "".join(parts)
