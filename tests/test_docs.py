"""Every example of the documentation runs, every test that it names exists, and it builds without a warning."""

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import allcores
from allcores.guard import digests, process_wide
from allcores.options import Options
from documentation import is_there, needs

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
RUNNABLE = re.compile(r"^```(pycon|python)$", re.MULTILINE)
LANGUAGES = {"pycon", "python", "sh", "text", "{toctree}", "{eval-rst}"}


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "page", [each for each in PAGES if RUNNABLE.search(text_of(each))], ids=lambda p: p.stem
)
def test_the_examples_of_a_page_are_true(page, tmp_path):
    program = (
        f"import sys; from pathlib import Path; sys.path.append({str(Path(__file__).parent)!r})\n"
        f"from documentation import run_page\n"
        f"sys.exit(run_page(Path({str(page)!r})) != 0)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=55,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_every_block_says_its_language(page):
    fences = re.findall(r"^ *```(\S*)", text_of(page), re.MULTILINE)
    opened = set(fences[0::2])
    if page.stem != "design":  # drawings
        assert opened <= LANGUAGES
    assert set(fences[1::2]) <= {""}


def named_tests(text: str) -> Iterator[tuple[str, str]]:
    """Files and tests, except those behind a mark of something that is not there."""
    for line in text.splitlines():
        file, counts = "", True
        for token in re.findall(r"<!-- needs .*? -->|`[^`]+`", line):
            if token.startswith("<"):
                counts = is_there(needs(token))
            elif token.endswith(".py`"):
                file = token.strip("`")
            elif token.startswith("`test_") and counts:
                yield file, token.strip("`")


@functools.cache
def functions_of(file: str) -> set[str]:
    path = ROOT / "tests" / file
    nodes = ast.walk(ast.parse(text_of(path))) if path.is_file() else ()
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_test_that_proves_a_rule_exists():
    named = list(named_tests(text_of(DOCS / "rules.md")))
    assert len(named) > 100
    assert [f"{file}::{name}" for file, name in named if name not in functions_of(file)] == []


def test_every_rule_names_a_test():
    rules = re.findall(r"^\| [A-Z]\d+ \|.*", text_of(DOCS / "rules.md"), re.MULTILINE)
    assert len(rules) > 30
    assert [rule for rule in rules if "`test_" not in rule] == []


def test_every_option_stands_in_the_contract():
    text = text_of(DOCS / "contract.md")
    assert [name for name in Options._fields if not re.search(rf"^\| `{name}` \|", text, re.MULTILINE)] == []


def test_every_public_name_is_explained():
    text = "".join(text_of(page) for page in PAGES if page.stem != "design")
    assert [name for name in allcores.__all__ if not re.search(rf"(`|\bac\.|## ){name}\b", text)] == []


def test_the_table_of_operations_that_are_safe_in_threads_is_whole():
    """Each operation of the source's table stands in the page's, with the source."""
    table = pytest.importorskip("allcores.guard.thread_safe")
    text = text_of(DOCS / "threads.md")
    short = [
        name.rpartition(".")[2].removeprefix("openssl_") for entry in table.TABLE for name in entry.names
    ]
    assert [name for name in short if not re.search(rf"`(np\.)?{name}`|\b{name}\b", text)] == []
    urls = {url for entry in table.TABLE for url in re.findall(r"https://[^\s;,)]+", entry.source)}
    assert [url for url in urls if url not in text] == []


def test_the_tables_of_what_all_threads_share_are_whole():
    """Each call and each type of the source's tables stands in the page's."""
    text = text_of(DOCS / "threads.md")
    named = [name for name in process_wide.CALLS if "._patch" not in name]
    short = [name.rpartition(".")[2] for name in named] + list(process_wide.MODULES)
    assert [name for name in short if not re.search(rf"`([\w.]+\.)?{name}`", text)] == []
    types = [name for name in process_wide.ONE_AT_A_TIME if "._" not in name and "dbm." not in name]
    assert [name for name in types if f"`{name}`" not in text] == []


def test_the_packages_whose_objects_are_not_compared_are_named():
    text = text_of(DOCS / "guard.md").lower()
    named = {"PIL": "pillow", "cv2": "opencv", "torch": "pytorch"}
    assert [name for name in digests.BY_IDENTITY if named.get(name, name).lower() not in text] == []


def test_the_pages_build_without_a_warning(tmp_path):
    pytest.importorskip("myst_parser")
    program = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "dummy", DOCS, tmp_path]
    done = subprocess.run(program, capture_output=True, text=True, timeout=55)
    assert done.returncode == 0, done.stderr
