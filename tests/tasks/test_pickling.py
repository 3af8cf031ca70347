"""What travels, how, and what is said where something cannot."""

import functools
import sys
import threading
import types

import pytest

from allcores.core.combine import Reduction
from allcores.errors import Unpicklable
from allcores.tasks import pickling
from allcores.tasks.task import Task


def task(function, kind="map", reduction=None):
    return Task(((kind, function),), reduction)


def refusal(function):
    with pytest.raises(Unpicklable) as caught:
        pickling.dump_task(task(function))
    return caught.value


def test_what_can_be_imported_travels_by_name():
    data, definitions = pickling.dump_task(task(len))
    assert definitions == {}
    assert b"cloudpickle" not in data
    assert pickling.load_task(data).run("abc") == 3


def test_functions_of_main_take_what_they_need_of_main_along(main):
    module = main(
        "class A: pass\nclass B(A): pass\ndef g(): return B()\ndef f(x): return g(), limit\nlimit = 5"
    )
    data, definitions = pickling.dump_task(task(module.f))
    assert {"f", "g", "B"} <= set(definitions)
    other = main("")
    other.__dict__.clear()
    other.__name__ = "__main__"
    loaded = pickling.load_task(data)
    made, limit = loaded.run(0)
    assert limit == 5
    assert type(made) is other.__dict__["B"]
    assert pickling.loads(pickling.dumps(made)).__class__ is other.__dict__["B"]


def test_plain_functions_of_main_need_no_cloudpickle(main):
    module = main(
        "import os, math\nimport xml.dom as _\nimport xml\nK = 3\n"
        "def g(n): return g(n - 1) + 1 if n else K\n"
        "def f(x, *, y: int = 2): 'doc'; return g(x), y, os.sep, math.pi, xml.dom.__name__"
    )
    module.f.mark = "kept"
    data, definitions = pickling.dump_task(task(module.f))
    assert b"cloudpickle" not in data
    assert set(definitions) == {"f", "g"}
    assert data == pickling.dump_task(task(module.f))[0]
    loaded = pickling.load_task(data)
    ((_, function),) = loaded.stages
    assert function is not module.g
    assert loaded.run(2) == (5, 2, "/", 3.141592653589793, "xml.dom")
    assert (function.mark, function.__doc__, function.__annotations__) == ("kept", "doc", {"y": int})


def test_nor_does_it_where_multiprocessing_is_loaded():
    import multiprocessing  # noqa: F401  (calls the main module __mp_main__ as well)

    unit = 1
    data, _ = pickling.dump_task(task(lambda x: x + unit))
    assert b"cloudpickle" not in data


def test_functions_by_value_find_the_builtins():
    data, _ = pickling.dump_task(task(lambda name: (__import__(name), eval("len(name)"), print)))
    assert b"cloudpickle" not in data
    assert pickling.load_task(data).run("sys") == (sys, 3, print)


def test_closures_keep_what_they_captured_themselves_included():
    unit = 1

    def count(n):
        later()
        return count(n - 1) + unit if n else 0

    def later():
        return unit

    data, _ = pickling.dump_task(task(count))
    assert b"cloudpickle" not in data
    assert pickling.load_task(data).run(5) == 5


def test_cached_functions_travel_with_an_empty_cache(main):
    module = main(
        "import functools\n@functools.cache\ndef fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)\n"
        "class A: pass\ndef f(n): return A, fib(n)"
    )
    for name in ("fib", "f"):
        data, definitions = pickling.dump_task(task(getattr(module, name)))
        assert "fib" in definitions
        main("")
        module.__dict__.pop("fib")
        loaded = pickling.load_task(data)
        assert loaded.run(50) in (12586269025, (sys.modules["__main__"].__dict__.get("A"), 12586269025))
        module.fib = definitions["fib"]
        sys.modules["__main__"] = module


def test_items_say_which_definitions_they_need(main):
    module = main("class A: pass\nclass Outer:\n  class Inner: pass\ndef f(): pass")
    _, needed = pickling.dump_item([module.A(), module.f, 1], 0)
    assert needed == {"A": module.A, "f": module.f}
    _, needed = pickling.dump_item(module.Outer.Inner(), 0)
    assert needed == {"Outer": module.Outer}
    assert pickling.dump_item("__main__", 0)[1] == {}


def test_definitions_are_installed(main):
    module = main("class A:\n  def m(self): return C()\nclass C: pass")
    data, also = pickling.dump_definitions({"A": module.A}, 0)
    del module.A, module.C
    pickling.load_definitions(data)
    assert type(module.A().m()) is module.C
    assert set(also) == {"A", "C"}


def test_captured_variables_globals_arguments_and_attributes_are_named():
    lock = threading.Lock()

    def captures(x):
        return lock

    class Holder:
        def __init__(self):
            self.deep = {"list": [0, lock]}

        def method(self, x):
            return x

    assert refusal(captures).path.endswith("__closure__['lock']")
    assert "captured variable 'lock' is a _thread.lock" in str(refusal(captures))
    assert refusal(functools.partial(max, lock)).path.endswith(".args[0]")
    assert refusal(functools.partial(max, key=lock)).path.endswith(".keywords['key']")
    assert refusal(Holder().method).path.endswith(".__self__.deep['list'][1]")
    error = refusal(lambda x, held=lock: x)
    assert "default 0 is a _thread.lock" in str(error)
    assert error.what == "function"
    assert str(error).endswith("or use engine='threads' (without timeout).")


def test_a_global_variable_is_named(main):
    module = main("import threading\nlock = threading.Lock()\ndef f(x): return lock")
    assert "global variable 'lock' is a _thread.lock" in str(refusal(module.f))


def test_the_culprit_may_be_a_reductions_function():
    lock = threading.Lock()
    reduction = Reduction(lambda values: lock, max)
    with pytest.raises(Unpicklable, match="lock"):
        pickling.dump_task(task(len, reduction=reduction))


def test_open_files_are_refused_and_not_copied(tmp_path):
    with open(tmp_path / "file", "w+") as file, pytest.raises(Unpicklable) as caught:
        pickling.dump_item({"log": file}, 3)
    assert caught.value.path == "item['log']"
    assert caught.value.index == 3


def test_generators_are_named_with_a_remedy():
    with pytest.raises(Unpicklable, match="Make it a list"):
        pickling.dump_item((x for x in ()), 0)


def test_things_nested_too_deep_are_said_to_be():
    item = []
    for _ in range(100_000):
        item = [item]
    with pytest.raises(Unpicklable, match="nested too deeply"):
        pickling.dump_item(item, 0)


def test_modules_registered_by_value_travel_by_value(monkeypatch):
    import cloudpickle

    module = types.ModuleType("only_mine")
    exec("def f(x): return x + 1", module.__dict__)
    monkeypatch.setitem(sys.modules, "only_mine", module)
    cloudpickle.register_pickle_by_value(module)
    try:
        data, _ = pickling.dump_task(task(module.f))
    finally:
        cloudpickle.unregister_pickle_by_value(module)
    monkeypatch.delitem(sys.modules, "only_mine")
    assert pickling.load_task(data).run(1) == 2
