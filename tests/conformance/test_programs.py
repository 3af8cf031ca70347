"""Whole programs: scripts without a guard, standard input, IPython, modules found late, calls at exit."""

import importlib.util
import os
import subprocess
import sys
import textwrap

import pytest

ENGINES = {
    "inline": {"engine": "inline"},
    "threads": {"engine": "threads", "n_jobs": 2},
    "asyncio": {"engine": "asyncio", "n_jobs": 2},
    "processes": {"engine": "processes", "n_jobs": 2},
    "portable": {"engine": "processes", "n_jobs": 2},
    "auto": {},
}


@pytest.fixture(params=ENGINES)
def program(request, tmp_path):
    """Runs a program whose `OPTIONS` choose an engine; it must end well and say nothing on stderr."""

    def run(text, *arguments, how="script", cwd=None, code=0, quiet=True, **more):
        text = f"OPTIONS = {ENGINES[request.param]!r}\nimport allcores as ac\n" + textwrap.dedent(text)
        environ = {**os.environ, **more.pop("env", {})}
        environ.pop("ALLCORES_START", None)
        if request.param == "portable":
            environ["ALLCORES_START"] = "portable"
        given = None
        if how == "script":
            path = tmp_path / "program.py"
            path.write_text(text)
            command = [sys.executable, str(path)]
        elif how == "-c":
            command = [sys.executable, "-c", text]
        elif how == "-m":
            (tmp_path / "package").mkdir(exist_ok=True)
            (tmp_path / "package" / "__init__.py").write_text("")
            (tmp_path / "package" / "__main__.py").write_text(text)
            command, cwd = [sys.executable, "-m", "package"], tmp_path
        elif how == "stdin":
            command, given = [sys.executable, "-"], text
        elif how == "ipython":
            path = tmp_path / "cells.ipy"
            path.write_text(text)
            command = [sys.executable, "-m", "IPython", "--no-banner", "--colors=NoColor", "--simple-prompt"]
            command += ["--no-confirm-exit", "--quick", str(path)]
            environ["IPYTHONDIR"] = str(tmp_path / "ipython")
        done = subprocess.run(
            [*command, *arguments],
            input=given,
            capture_output=True,
            text=True,
            timeout=50,
            cwd=cwd or tmp_path,
            env=environ,
            **more,
        )
        assert done.returncode == code, done.stdout + done.stderr
        if quiet:
            assert done.stderr == ""
        return done.stdout

    run.name = request.param
    return run


MAIN = """
    import functools, pickle

    OFFSET = 100

    class Point:
        def __init__(self, x):
            self.x = x
        def moved(self):
            return Point(self.x + OFFSET)
        def __eq__(self, other):
            return type(self) is type(other) and self.x == other.x

    class MyError(Exception):
        pass

    def helper(x):
        return x + OFFSET

    def use_helper(x):
        return helper(x)

    def make(x):
        return Point(x)

    def fail(x):
        if x == 3:
            raise MyError("three")
        return x

    def pickles(x):
        return pickle.loads(pickle.dumps(Point(x))).x

    assert ac.map(use_helper, range(5), **OPTIONS) == [100, 101, 102, 103, 104]
    assert ac.map(lambda x: helper(x) + 1, range(2), **OPTIONS) == [101, 102]
    assert ac.map(make, range(5), **OPTIONS) == [Point(x) for x in range(5)]
    assert ac.map(Point.moved, [Point(1), Point(2)], **OPTIONS) == [Point(101), Point(102)]
    assert ac.map(lambda point: isinstance(point, Point), [Point(1)], **OPTIONS) == [True]
    assert ac.map(functools.partial(isinstance, Point(1)), [Point, int], **OPTIONS) == [True, False]
    assert ac.map(pickles, range(3), **OPTIONS) == [0, 1, 2]
    try:
        ac.map(fail, range(6), **OPTIONS)
    except MyError as error:
        assert error.args == ("three",)
        print("caught")
    OFFSET = 1000
    assert ac.map(use_helper, range(2), **OPTIONS) == [1000, 1001]
    assert ac.par(range(10), **OPTIONS).map(helper).filter(lambda x: x % 2).sum() == sum(range(1001, 1010, 2))
    print("done")
"""


@pytest.mark.parametrize("how", ["script", "-c", "-m", "stdin"])
def test_functions_and_classes_of_a_program_without_a_guard(program, how):
    assert program(MAIN, how=how).split() == ["caught", "done"]


def test_functions_and_classes_of_an_ipython_session(program):
    if importlib.util.find_spec("IPython") is None:
        pytest.skip("IPython is not installed")
    assert program(MAIN, how="ipython", quiet=False).split()[-2:] == ["caught", "done"]


def test_a_dataclass_and_an_enum_of_the_program_itself(program):
    out = program("""
        import dataclasses, enum, typing

        @dataclasses.dataclass(frozen=True)
        class Pair:
            left: int
            right: int

        class Color(enum.Enum):
            RED = 1
            BLUE = 2

        class Named(typing.NamedTuple):
            name: str

        def swap(pair):
            return Pair(pair.right, pair.left), Color.RED, Named("n")

        (pair, color, named), = ac.map(swap, [Pair(1, 2)], **OPTIONS)
        assert pair == Pair(2, 1) and type(pair) is Pair
        assert color is Color.RED
        assert named == Named("n") and type(named) is Named
        assert ac.map(lambda color: color is Color.BLUE, list(Color), **OPTIONS) == [False, True]
        print("done")
    """)
    assert out == "done\n"


def test_a_plain_function_of_a_derived_class_of_the_program(program):
    out = program(
        """
        import abc

        class Base: pass

        class Derived(Base):
            @staticmethod
            def run(x): return x, Derived
            def method(self, x): return x + 1

        class Abstract(abc.ABC):
            @staticmethod
            def run(x): return x

        assert ac.map(Derived.run, range(3), **OPTIONS) == [(x, Derived) for x in range(3)]
        assert ac.map(Derived.method, [Derived()] * 3, range(3), **OPTIONS) == [1, 2, 3]
        assert ac.map(Abstract.run, range(3), **OPTIONS) == [0, 1, 2]
        print("ok")
        """
    )
    assert out == "ok\n"


def test_results_never_overwrite_the_state_of_the_callers_classes(program):
    out = program("""
        class Counter:
            total = 0

        def bump(x):
            return Counter()

        before = Counter
        Counter.total = 7
        results = ac.map(bump, range(3), **OPTIONS)
        assert Counter is before and Counter.total == 7
        assert all(type(each) is Counter for each in results)
        print("done")
    """)
    assert out == "done\n"


def test_a_class_attribute_of_the_program_that_changes_is_seen_by_the_next_call(program):
    out = program("""
        import abc

        class Settings:
            factor = 1

        class Shape(abc.ABC):
            @abc.abstractmethod
            def area(self): ...

            @classmethod
            def __subclasshook__(cls, other):
                return hasattr(other, "area") or NotImplemented

        class Square(Shape):
            made = 0

            def __init__(self, side):
                type(self).made += 1
                self.side = side

            def area(self):
                return self.side**2 * Settings.factor

        def areas(square):
            return square.area(), isinstance(square, Shape), Square(1).area()

        squares = [Square(side) for side in range(4)]
        for Settings.factor in (1, 3):
            expected = [(side**2 * Settings.factor, True, Settings.factor) for side in range(4)]
            assert ac.map(areas, squares, **OPTIONS) == expected
        assert Square.made >= 4 and Settings.factor == 3
        try:
            ac.map(lambda x: Shape(), [1], **OPTIONS)
        except TypeError as error:
            print(str(error).split(" with ")[0])
    """)
    assert "Can't instantiate abstract class Shape" in out


def test_an_exception_of_the_program_is_caught_in_the_worker_and_in_the_program(program):
    out = program("""
        class Retry(Exception):
            def __init__(self, after):
                super().__init__(after)
                self.after = after

        def careful(x):
            try:
                raise Retry(x)
            except Retry as error:
                if x == 2:
                    raise
                return error.after

        assert ac.map(careful, [0, 1], **OPTIONS) == [0, 1]
        try:
            ac.map(careful, range(4), **OPTIONS)
        except Retry as error:
            print(error.after, type(error) is Retry)
        first, second = ac.map(careful, [1, 2], on_error="return", **OPTIONS)
        print(first, type(second.error) is Retry)
    """)
    assert out == "2 True\n1 True\n"


def test_an_exception_of_the_program_with_an_init_of_its_own_is_caught(program):
    out = program(
        """
        class ApiError(Exception):
            def __init__(self, code, text):
                super().__init__(f"{code}: {text}")
                self.code = code

        class Gone(ApiError): pass

        def fail(x):
            raise Gone(404, x)

        try:
            ac.map(fail, range(3), **OPTIONS)
        except ApiError as error:
            print(type(error) is Gone, error.code, error)
        """
    )
    assert out == "True 404 404: 0\n"


def test_a_function_of_the_program_that_is_chosen_by_type(program):
    out = program(
        """
        import functools

        class Point: pass

        @functools.singledispatch
        def show(x): return "any"

        @show.register
        def show_number(x: int): return f"int {x}"

        @show.register(list)
        def show_list(x): return [show(each) for each in x]

        @show.register
        def show_point(x: Point): return "point"

        items = [1, "a", [2, Point()], Point()]
        expected = ["int 1", "any", ["int 2", "point"], "point"]
        assert ac.map(show, items, **OPTIONS) == expected
        assert ac.map(lambda x: show(x), items, **OPTIONS) == expected
        print("ok")
        """
    )
    assert out == "ok\n"


def test_an_object_of_the_program_is_saved_by_joblib_in_a_worker(program, tmp_path):
    pytest.importorskip("joblib")
    path = tmp_path / "saved"
    out = program(f"""
        import joblib

        class Model:
            def __init__(self, weight):
                self.weight = weight

        def save(weight):
            return joblib.dump(Model(weight), {str(path)!r} + str(weight))[0]

        for weight, saved in enumerate(ac.map(save, range(3), **OPTIONS)):
            model = joblib.load(saved)
            assert type(model) is Model and model.weight == weight
        print("done")
    """)
    assert out == "done\n"


def test_a_setting_in_a_module_of_the_program_that_changes_is_seen_by_the_next_call(program, tmp_path):
    (tmp_path / "conf.py").write_text("DEBUG = False\nNAMES = []\n")
    out = program("""
        import conf

        def see(x):
            return conf.DEBUG, list(conf.NAMES)

        assert ac.map(see, [0], **OPTIONS) == [(False, [])]
        conf.DEBUG = True
        conf.NAMES.append("a")
        print(ac.map(see, [0], **OPTIONS), ac.par([0], **OPTIONS).map(see).collect())
    """)
    assert out == "[(True, ['a'])] [(True, ['a'])]\n"


def test_a_program_that_is_guarded_works_too(program):
    out = program("""
        def double(x):
            return 2 * x

        if __name__ == "__main__":
            print(ac.map(double, range(3), **OPTIONS))
        else:
            print("imported again")
    """)
    assert out == "[0, 2, 4]\n"


def test_the_program_itself_runs_once(program):
    out = program("""
        print("top")
        ac.map(lambda x: x, range(5), **OPTIONS)
    """)
    assert out == "top\n"


def test_a_module_that_only_the_callers_path_finds(program, tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "far_away.py").write_text(
        "class Thing:\n    def __init__(self, x):\n        self.x = x\n\ndef make(x):\n    return Thing(x)\n"
    )
    out = program(f"""
        import sys
        sys.path.insert(0, {str(tmp_path / "far")!r})
        import far_away
        results = ac.map(far_away.make, range(3), **OPTIONS)
        assert [type(each) for each in results] == [far_away.Thing] * 3
        print([each.x for each in results])
    """)
    assert out == "[0, 1, 2]\n"


def test_a_package_with_modules_that_import_each_other(program, tmp_path):
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text("from pack.a import f\n")
    (tmp_path / "pack" / "a.py").write_text("from pack import b\n\ndef f(x):\n    return b.g(x)\n")
    (tmp_path / "pack" / "b.py").write_text("def g(x):\n    return x + 1\n")
    assert program("import pack\nprint(ac.map(pack.f, range(3), **OPTIONS))") == "[1, 2, 3]\n"


def test_a_program_whose_directory_has_gone(program, tmp_path):
    out = program("""
        import os, tempfile
        gone = tempfile.mkdtemp()
        os.chdir(gone)
        os.rmdir(gone)
        print(ac.map(abs, [-1, -2], **OPTIONS))
    """)
    assert out == "[1, 2]\n"


def test_a_program_with_modules_named_like_the_standard_library_s(program, tmp_path):
    """What stands beside a script must not be taken for what a worker itself needs."""
    for name in ("select", "socket", "pickle", "struct", "queue", "random"):
        (tmp_path / f"{name}_.py").write_text("raise SystemExit('the wrong module')\n")
    (tmp_path / "shapes.py").write_text("def area(x):\n    return x * x\n")
    assert program("import shapes\nprint(ac.map(shapes.area, range(4), **OPTIONS))") == "[0, 1, 4, 9]\n"


# -- the end of the interpreter -----------------------------------------------------------------------


def test_a_call_in_atexit(program):
    out = program("""
        import atexit
        atexit.register(lambda: print(ac.map(lambda x: x + 1, range(3), **OPTIONS)))
        print("end")
    """)
    assert out == "end\n[1, 2, 3]\n"


def test_a_call_in_atexit_after_other_calls(program):
    out = program("""
        import atexit

        def last():
            print(ac.map(lambda x: x + 1, range(3), **OPTIONS))

        print(ac.map(lambda x: x + 1, range(3), **OPTIONS))
        atexit.register(last)
    """)
    assert out == "[1, 2, 3]\n[1, 2, 3]\n"


def test_a_call_in_atexit_registered_before_allcores_was_used(program):
    out = program("""
        import atexit

        @atexit.register
        def last():
            print(ac.map(lambda x: x + 1, range(3), **OPTIONS))

        print(ac.map(lambda x: x + 1, range(3), **OPTIONS))
    """)
    assert out == "[1, 2, 3]\n[1, 2, 3]\n"


def test_a_call_from_a_finalizer_at_exit(program):
    out = program("""
        class Late:
            def __del__(self):
                print(ac.map(abs, [-1, -2], **OPTIONS), flush=True)

        kept = Late()
        print(ac.map(abs, [-3], **OPTIONS), flush=True)
    """)
    assert out == "[3]\n[1, 2]\n"


def test_a_call_from_a_finalizer_in_the_middle_of_another_call(program):
    out = program("""
        class Late:
            def __del__(self):
                found.append(ac.map(abs, [-1, -2], **OPTIONS))

        found = []

        def items():
            for x in range(5):
                Late()
                yield x

        print(ac.map(abs, items(), **OPTIONS), len(found), found[0])
    """)
    assert out == "[0, 1, 2, 3, 4] 5 [1, 2]\n"


def test_a_call_from_a_thread_that_outlives_the_main_one(program):
    out = program("""
        import threading, time

        def late():
            threading.main_thread().join()
            print(ac.map(abs, [-1, -2], **OPTIONS), flush=True)

        threading.Thread(target=late).start()
        print("end", flush=True)
    """)
    assert out == "end\n[1, 2]\n"


def test_leaving_in_the_middle_of_a_stream(program):
    out = program("""
        import itertools, sys
        results = iter(ac.par(itertools.count(), **OPTIONS).map(lambda x: x + 1))
        print(next(results), next(results))
        sys.exit(0)
    """)
    assert out == "1 2\n"


def test_leaving_with_an_exit_status_of_ones_own(program):
    program(
        """
        import sys
        ac.map(abs, [-1], **OPTIONS)
        sys.exit(5)
        """,
        code=5,
    )


def test_what_is_printed_before_a_call_is_printed_once(program):
    out = program("""
        import sys
        sys.stdout.write("buffered and not flushed\\n")
        ac.map(abs, range(-5, 5), **OPTIONS)
    """)
    assert out == "buffered and not flushed\n"
