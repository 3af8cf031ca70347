"""What is found of the user's modules behind a function, and what is left alone."""

import functools
import importlib
import subprocess
import sys
import threading

import pytest

from allcores.errors import Unpicklable
from allcores.tasks import reached
from allcores.tasks.pickling import load_values
from allcores.tasks.task import MAP, Task


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes and imports a module of the user's."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    made = []

    def write(name, text):
        (tmp_path / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        made.append(name)
        return importlib.import_module(name)

    yield write
    for name in made:
        sys.modules.pop(name, None)


def look(function):
    fingerprint, values = reached.look(Task(((MAP, function),)))
    return fingerprint, load_values(values) if values else {}


def test_only_what_the_code_names_is_found(module):
    made = module("reach_a", "READ = 1\nUNREAD = 2\ndef f(x): return READ\n")
    assert look(made.f)[1] == {("reach_a", "READ"): 1}


def test_functions_are_followed_through_partials_methods_caches_and_wrappers(module):
    made = module(
        "reach_b",
        "import functools\n"
        "A, B, C, D = 1, 2, 3, 4\n"
        "def wrap(f):\n    @functools.wraps(f)\n    def inner(x): return f(x) + A\n    return inner\n"
        "@wrap\ndef f(x): return x + B\n"
        "@functools.cache\ndef g(x): return f(x) + C\n"
        "class K:\n    def h(self, x): return g(x) + D\n",
    )
    found = look(functools.partial(made.K().h, x=1))[1]
    assert {name for _, name in found} >= {"A", "B", "C", "D"}


def test_the_walk_ends_at_depth_3_and_in_circles(module):
    made = module(
        "reach_c",
        "V0 = V1 = V2 = V3 = V4 = 0\n"
        "def f0(x): return f1(x), V0\ndef f1(x): return f2(x), V1\ndef f2(x): return f3(x), V2\n"
        "def f3(x): return f4(x), f0(x), V3\ndef f4(x): return V4\n",
    )
    assert {name for _, name in look(made.f0)[1]} == {"V0", "V1", "V2", "V3"}


def test_large_odd_and_own_values_stay(module):
    made = module(
        "reach_d",
        "import threading\n"
        "LARGE, LONG, LOCK, OURS, SMALL = list(range(1000)), 'x' * 10**6, threading.Lock(), 0, (1, [2])\n"
        "def f(x):\n    global OURS\n    OURS += 1\n    return LARGE, LONG, LOCK, OURS, SMALL\n",
    )
    assert look(made.f)[1] == {("reach_d", "SMALL"): (1, [2])}


def test_values_of_installed_modules_and_of_the_standard_library_stay():
    def f(x):
        return pytest.__version__, functools.WRAPPER_ASSIGNMENTS, x

    assert look(f)[1] == {}
    assert look(functools.partial(abs))[1] == {}


def test_the_fingerprint_changes_with_the_code_and_not_with_values(module):
    made = module("reach_e", "V = 1\ndef g(x): return V\ndef f(x): return g(x)\n")
    before, _ = look(made.f)
    made.V = 2
    assert look(made.f)[0] == before
    exec("def g(x): return V + 1", made.__dict__)
    assert look(made.f)[0] != before


def test_objects_that_answer_to_every_name_are_not_asked(module):
    class Touchy:
        def __getattribute__(self, name):
            raise RuntimeError(name)

        def __call__(self, x):
            return x

    made = module("reach_f", "thing = None\ndef f(x): return thing\n")
    made.thing = Touchy()
    assert look(made.f)[1] == {}
    look(made.thing)


def test_install_sets_what_differs_and_leaves_what_is_equal(module):
    made = module(
        "reach_g", "SAME, OTHER = [1], [1]\nclass K:\n    RATE = 1\ndef f(x): return SAME, OTHER, K\n"
    )
    same = made.SAME
    _, values = reached.look(Task(((MAP, made.f),)))
    made.OTHER, made.K.RATE = [2], 3
    _, changed = reached.look(Task(((MAP, made.f),)))
    reached.install(values)
    assert (made.OTHER, made.K.RATE) == ([1], 1)
    reached.install(changed)
    assert (made.OTHER, made.K.RATE) == ([2], 3)
    assert made.SAME is same


def test_a_module_that_is_missing_in_the_worker_is_passed_over(module):
    made = module("reach_h", "V = 1\ndef f(x): return V\n")
    _, values = reached.look(Task(((MAP, made.f),)))
    code = f"import sys; from allcores.tasks import reached; reached.install({values!r})\n"
    code += "print('reach_h' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_replacements_travel_if_they_are_light_or_of_the_program_itself(module, monkeypatch):
    made = module("reach_i", "def g(x): return x\ndef f(x): return g(x)\n")
    small, large = 1, list(range(1000))
    made.g = lambda x: x + small
    assert look(made.f)[1]["reach_i", "g"](1) == 2
    made.g = lambda x: (x, large)
    assert look(made.f)[1] == {}
    made.g.__module__ = "__main__"
    assert look(made.f)[1]["reach_i", "g"](1) == (1, large)


def test_a_replacement_by_the_program_that_cannot_travel_is_refused_by_name(module):
    lock = threading.Lock()
    made = module("reach_j", "def g(x): return x\ndef f(x): return g(x)\n")
    made.g = lambda x: lock.locked()
    made.g.__module__ = "__main__"
    with pytest.raises(Unpicklable, match=r"`reach_j.g` was replaced .* 'lock' .* use engine='threads'"):
        look(made.f)
