"""What items log, and warn of, in worker processes: it travels as their output does, to the caller's own handlers
and filters.

There a worker keeps what is its own: records go to the handlers too that the items or ``setup`` have installed, and
``catch_warnings`` inside an item records what it would. Handlers that modules install when they are imported are
the caller's, which has imported them as well. Nothing of this costs anything where nobody logs or warns.
"""

from __future__ import annotations

import sys

from allcores.core.kinds import LOGGED, WARNED
from allcores.tasks.pickling import PROTOCOL, dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    import warnings
    from collections.abc import Callable, Iterator
    from typing import Any

    Tell = Callable[[int, bytes], None]  # the kind of a notice, and its body

# -- the worker's side --------------------------------------------------------------------------------


def begin(tell: Tell) -> Callable[[], None]:
    """From now on this process tells what is logged and warned of; returns what ends that.

    Where the caller has handlers ``logging`` is loaded here by now (see ``world``); without, it need not be.
    """
    ends = [_tell_warnings(tell)]
    if "logging" in sys.modules:
        ends.append(_tell_records(tell))

    def end() -> None:
        for each in ends:
            each()

    return end


def _tell_records(tell: Tell) -> Callable[[], None]:
    import logging

    given = logging.Logger.callHandlers

    def call_handlers(logger: logging.Logger, record: logging.LogRecord) -> None:
        handled = [each.name for each in _reached(logger) if _handles(each)]
        if handled:
            given(logger, record)
        try:
            body = _dumped_record(record, handled)
        except (
            Exception
        ):  # its arguments do not fit its text: that is told as ever, and no failure of the item
            logging.Handler().handleError(record)
        else:
            tell(LOGGED, body)

    def end() -> None:
        logging.Logger.callHandlers = given  # type: ignore[method-assign]
        for each in _loggers(logging):
            each.handlers[:] = [
                handler for handler in each.handlers if type(handler) is not logging.NullHandler
            ]

    logging.Logger.callHandlers = call_handlers  # type: ignore[assignment, method-assign]
    return end


def _loggers(logging: Any) -> list[logging.Logger]:
    names = list(logging.root.manager.loggerDict.values())
    return [logging.root, *(each for each in names if hasattr(each, "handlers"))]


def _reached(logger: logging.Logger | None) -> Iterator[logging.Logger]:
    """The loggers whose handlers get what this one is told."""
    while logger is not None:
        yield logger
        logger = logger.parent if logger.propagate else None


def _handles(logger: logging.Logger) -> bool:
    from logging import NullHandler

    return any(type(each) is not NullHandler for each in logger.handlers)


def _dumped_record(record: logging.LogRecord, handled: list[str]) -> bytes:
    """A record without what only this process has: its text is complete, and its traceback is text."""
    fields = {**vars(record), "msg": record.getMessage(), "args": None, "exc_info": None}
    if record.exc_info and not record.exc_text:
        from logging import Formatter

        fields["exc_text"] = Formatter().formatException(record.exc_info)
    try:
        return dumps((fields, handled), PROTOCOL)
    except Exception:
        return dumps(({name: _portable(value) for name, value in fields.items()}, handled), PROTOCOL)


def _portable(value: Any) -> Any:
    return value if _dumped(value) else repr(value)


def _dumped(value: Any) -> bytes:
    try:
        return dumps(value, PROTOCOL)
    except Exception:
        return b""


def _tell_warnings(tell: Tell) -> Callable[[], None]:
    import warnings

    module: Any = warnings
    given, filters = module._showwarnmsg_impl, list(warnings.filters)

    def show(message: warnings.WarningMessage) -> None:
        if message.file is not None:
            given(message)
        else:
            tell(WARNED, _dumped_warning(message, decided=list(warnings.filters) != filters))

    def end() -> None:
        module._showwarnmsg_impl = given

    module._showwarnmsg_impl = show  # ``catch_warnings`` puts another one in its place, and this one back
    return end


def _dumped_warning(message: warnings.WarningMessage, decided: bool) -> bytes:
    """``decided``: by filters that the item has set, and so whatever the caller's say."""
    category = next(filter(None, map(_dumped, message.category.__mro__)))
    module = _module_that_warns(message)
    parts = str(message.message), category, _dumped(message.message)
    return dumps((*parts, message.filename, message.lineno, module, decided), PROTOCOL)


def _module_that_warns(message: warnings.WarningMessage) -> str | None:
    """The name of the module whose line it is."""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_lineno == message.lineno and frame.f_code.co_filename == message.filename:
            name = frame.f_globals.get("__name__")
            return name if isinstance(name, str) else None
        frame = frame.f_back  # type: ignore[assignment]
    return None


def forget_repetitions() -> None:
    """What was warned of before counts no more, for filters that show a warning once."""
    import warnings

    mutated = getattr(warnings, "_filters_mutated", None) or getattr(
        warnings, "_filters_mutated_lock_held", None
    )
    if mutated is not None:
        mutated()
    getattr(warnings, "onceregistry", {}).clear()


def forget_handlers(names: list[str]) -> None:
    """The handlers that were installed while modules were imported are the caller's business.

    Something stands in for those of the loggers with these names: who looks whether there are any (as
    ``logging.info`` and ``basicConfig`` do) finds what the caller would find.
    """
    logging = sys.modules.get("logging")
    if logging is None or not hasattr(logging, "root"):
        return
    for each in _loggers(logging):
        each.handlers.clear()
    for name in names:
        logging.getLogger(name).addHandler(logging.NullHandler())


# -- the caller's side --------------------------------------------------------------------------------

_warned_elsewhere: dict[Any, Any] = {}  # by lines of modules that this process has not imported


def deliver(kind: int, body: bytes) -> None:
    """Gives what an item has logged or warned of to the caller's handlers and filters."""
    if kind == LOGGED:
        _log(*loads(body))
    elif kind == WARNED:
        _warn(*loads(body))


def loggers_with_handlers(logging: Any) -> list[str]:
    """Their names; where there is none, workers need not even load ``logging``."""
    return [each.name for each in _loggers(logging) if each.handlers and _handles(each)]


def _log(fields: dict[str, Any], handled: list[str]) -> None:
    """``handled``: the loggers that had handlers of their own where the record was made, which have got it."""
    import logging

    record = logging.makeLogRecord(fields)
    logger = logging.getLogger(record.name)
    if not handled:
        logger.handle(record)
    elif not logger.disabled and logger.filter(record):
        for each in _reached(logger):
            for handler in each.handlers if each.name not in handled else ():
                if record.levelno >= handler.level:
                    handler.handle(record)


def _warn(
    text: str, category: bytes, message: bytes, filename: str, line: int, module: str | None, decided: bool
) -> None:
    import warnings

    kind = _loaded(category) or UserWarning
    warning = _loaded(message) if message else None
    if not isinstance(warning, Warning):
        try:
            warning = kind(text)
        except Exception:  # made from something else than a text
            kind, warning = UserWarning, UserWarning(text)
    if decided:
        warnings.showwarning(warning, kind, filename, line)
        return
    home = sys.modules.get(module or "")
    registry = _warned_elsewhere if home is None else vars(home).setdefault("__warningregistry__", {})
    warnings.warn_explicit(warning, kind, filename, line, module, registry)


def _loaded(data: bytes) -> Any:
    try:
        return loads(data)
    except Exception:
        return None
