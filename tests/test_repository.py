"""The rules of the house, read from the source: which way imports point, and what an import may cost."""

import ast
import doctest
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import allcores

SOURCE = Path(allcores.__file__).parent

# From the ground up; whoever stands higher may import from whoever stands lower, never the other way round.
FLOORS = {
    "defaults": 5,
    "errors": 0,
    "core": 1,
    "tasks": 2,
    "guard": 3,
    "processes": 3,
    "engines": 4,
    "options": 5,
    "signatures": 5,
    "runtime": 5,
    "stream": 6,
    "api": 6,
    "executor": 6,
    "__init__": 7,
    "testing": 7,
    "cli": 8,
    "sklearn": 8,
    "__main__": 9,
}

# Pure parts of the standard library that decisions may be made with.
CORE_MAY_IMPORT = {
    "__future__",
    "bisect",
    "collections",
    "dataclasses",
    "enum",
    "functools",
    "heapq",
    "itertools",
    "math",
    "operator",
    "types",
    "typing",
}

# What a plain `import allcores` must not bring along.
HEAVY = (
    "numpy",
    "cloudpickle",
    "psutil",
    "tqdm",
    "threadpoolctl",
    "asyncio",
    "multiprocessing",
    "concurrent.futures",
    "_pickle",
    "inspect",
    "logging",
    "random",
    "socket",
    "subprocess",
    "allcores.engines",
    "allcores.guard",
    "allcores.runtime.asynchronous",
    "allcores.runtime.draws",
    "allcores.runtime.explain",
    "allcores.tasks.pickling",
    "allcores.tasks.world",
)


class Import(NamedTuple):
    """One name that a module imports, fully written."""

    importer: str
    line: int
    name: str


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)


MODULES = {module_name(path): path for path in sorted(SOURCE.rglob("*.py"))}


def imports_of(module: str) -> Iterator[Import]:
    """Every import in a module, those inside functions and for type checkers included."""
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno} imports relatively; write the whole name"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield Import(module, node.lineno, whole if whole in MODULES else str(node.module))


def floor(module: str) -> int:
    parts = module.split(".")
    return FLOORS[parts[1] if len(parts) > 1 else "__init__"]


def is_ours(name: str) -> bool:
    return name.partition(".")[0] == "allcores"


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down_the_house(module):
    wrong = [each for each in imports_of(module) if is_ours(each.name) and floor(each.name) > floor(module)]
    assert wrong == []


@pytest.mark.parametrize("module", [name for name in MODULES if not name.startswith("allcores.cli")])
def test_nobody_imports_the_wings(module):
    wings = ("allcores.cli", "allcores.sklearn", "allcores.testing", "allcores.__main__")
    wrong = [
        each
        for each in imports_of(module)
        if each.name.startswith(wings)
        and module != "allcores.__main__"
        and not (module + ".").startswith("allcores.sklearn.")
    ]
    assert wrong == []


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("allcores.sklearn")])
def test_the_scikit_learn_wing_stands_on_public_names(module):
    ours = [each for each in imports_of(module) if is_ours(each.name)]
    inside = ("allcores", "allcores.sklearn")
    assert [
        each for each in ours if not each.name.startswith("allcores.sklearn.") and each.name not in inside
    ] == []


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("allcores.sklearn")])
def test_private_names_of_scikit_learn_and_joblib_stand_in_one_module(module):
    private = [
        (alias.name, node.lineno)
        for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] in ("sklearn", "joblib")
        for alias in node.names
        if alias.name.startswith("_")
    ]
    assert private == [] or module == "allcores.sklearn.compat"


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("allcores.core")])
def test_core_knows_no_clock_no_thread_and_no_system(module):
    foreign = [each for each in imports_of(module) if not is_ours(each.name)]
    assert [each for each in foreign if each.name.partition(".")[0] not in CORE_MAY_IMPORT] == []


@pytest.mark.parametrize("module", MODULES)
def test_no_module_is_longer_than_500_lines(module):
    assert len(MODULES[module].read_text(encoding="utf-8").splitlines()) <= 500


@pytest.mark.parametrize("module", MODULES)
def test_no_function_is_longer_than_60_lines(module):
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert [node.name for node in functions if (node.end_lineno or 0) - node.lineno >= 60] == []


def in_a_fresh_interpreter(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.strip()


def test_importing_brings_nothing_heavy_along():
    code = f"import sys, allcores; print([name for name in {HEAVY!r} if name in sys.modules])"
    assert in_a_fresh_interpreter(code) == "[]"


def test_a_call_that_stays_here_loads_no_engine_and_no_pickle():
    code = "import sys, allcores as ac; ac.map(abs, [-1, 2])\n"
    code += "print([name for name in ('_pickle', 'inspect', 'allcores.engines') if name in sys.modules])"
    assert in_a_fresh_interpreter(code) == "[]"


def test_a_worker_process_imports_nothing_that_takes_long():
    """Each of these takes milliseconds, of the some twenty in which a worker starts."""
    slow = (
        "typing",
        "re",
        "enum",
        "collections.abc",
        "inspect",
        "logging",
        "threading",
        "traceback",
        "socket",
        "random",
    )
    code = f"""
import allcores as ac
def loaded(x):
    import sys
    return [name for name in {slow} if name in sys.modules]
print(ac.map(loaded, [0], engine="processes", n_jobs=1)[0])
"""
    assert in_a_fresh_interpreter(code) == "[]"


def test_importing_the_joblib_backend_leaves_most_of_scikit_learn_alone():
    code = (
        "import sys, allcores.sklearn; print([name for name in sys.modules if name.startswith('sklearn.')])"
    )
    assert in_a_fresh_interpreter(code) == "[]"


def test_importing_starts_no_thread_and_no_process():
    code = (
        "import allcores, os, psutil; me = psutil.Process(os.getpid())\n"
        "print(me.num_threads(), len(me.children(recursive=True)))"
    )
    assert in_a_fresh_interpreter(code) == "1 0"


def test_every_public_name_is_there():
    code = "import allcores; print([name for name in allcores.__all__ if not hasattr(allcores, name)])"
    assert in_a_fresh_interpreter(code) == "[]"


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nonsense"):
        allcores.nonsense


@pytest.mark.parametrize(
    "module", [name for name, path in MODULES.items() if ">>> " in path.read_text("utf-8")]
)
def test_examples_in_docstrings_are_true(module):
    assert doctest.testmod(importlib.import_module(module)).failed == 0
