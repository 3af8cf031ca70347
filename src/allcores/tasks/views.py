"""How a memoryview travels, which pickle refuses and cloudpickle turns into bytes: as a view of the same kind.

It arrives with its format and shape on memory of its own, read-only where it was so. What ``memoryview.cast``
cannot make again is refused: elements that do not lie one behind the other, and formats that are not native.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def reduce_view(value: Any) -> tuple[Any, ...] | None:
    """How a memoryview is pickled; None for everything else. Raises TypeError or ValueError for other views."""
    if type(value) is not memoryview:
        return None
    from pickle import PickleBuffer

    how: Any = (value.format, value.shape, value.itemsize, value.readonly)
    make_view(value, *how)  # or say at once why it cannot be made again
    return make_view, (PickleBuffer(value), *how)


def make_view(data: Any, format: str, shape: tuple[int, ...], item_bytes: int, readonly: bool) -> memoryview:
    """A view of this format and shape on ``data``, or beside it where it holds nothing."""
    view: memoryview
    if shape == (0,):  # `cast` refuses to make these
        view = memoryview(bytearray(item_bytes)).cast(format)[:0]  # type: ignore[call-overload]
    else:
        view = memoryview(data).cast("B").cast(format, shape)  # type: ignore[call-overload]
    return view.toreadonly() if readonly else view
