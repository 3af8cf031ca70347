"""Runs the examples of a page as one program.

Blocks of ``python`` are executed and blocks of ``pycon`` are compared with what they show, in their order and in
the ``__main__`` of the interpreter, as if the reader had typed them. A block behind ``<!-- needs NAME ... -->``
runs only where each name is there: a public name or an option of allcores, or a module.
"""

import ast
import asyncio
import doctest
import importlib.util
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import allcores
from allcores.options import ENGINES, Options

BLOCK = re.compile(
    r"(?P<needs><!-- needs [^\n]*? -->\n+)?^```(?P<language>pycon|python)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    """One example; ``line`` is that of its first line in the page, from 0."""

    needs: list[str]
    language: str
    code: str
    line: int


def needs(mark: str | None) -> list[str]:
    """The names in ``<!-- needs NAME ... -->``."""
    return [] if mark is None else mark.strip().removeprefix("<!-- needs").removesuffix("-->").split()


def is_there(names: list[str]) -> bool:
    """Whether each name is a public name, an option or an engine of allcores, or a module."""
    return all(
        hasattr(allcores, name) or name in Options._fields or name in ENGINES or _module_is_there(name)
        for name in names
    )


def _module_is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False


def blocks(text: str) -> Iterator[Block]:
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start("code"))
        yield Block(needs(match["needs"]), match["language"], match["code"], line)


def run_page(page: Path) -> int:
    """Number of examples that are not true; what is wrong is printed. An exception of a ``python`` block is raised."""
    names = vars(sys.modules["__main__"])
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for block in blocks(page.read_text(encoding="utf-8")):
        if not is_there(block.needs):
            continue
        if block.language == "pycon":
            test = doctest.DocTestParser().get_doctest(block.code, {}, page.name, str(page), block.line)
            test.globs = names
            runner.run(test, clear_globs=False)
        else:
            code = compile("\n" * block.line + block.code, page, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            result = eval(code, names)
            if inspect.iscoroutine(result):
                asyncio.run(result)
    return runner.summarize(verbose=False).failed
