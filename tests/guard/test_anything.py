"""Whatever a function looks like, the guard reads it without raising and without running it."""

import textwrap
import types

import hypothesis.strategies as st
from hypothesis import given, settings

from allcores.guard.bytecode import instructions
from allcores.guard.summary import Reading
from allcores.guard.verdict import verdict
from allcores.tasks.task import Task

names = st.sampled_from(["x", "y", "rows", "table", "self", "len", "sorted"])
atoms = names | st.sampled_from(
    ["1", "'a'", "None", "[]", "{}", "(x, y)", "lambda z: z", "[i for i in rows]"]
)
expressions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.builds("({} + {})".format, inner, inner),
        st.builds("{}[{}]".format, names, inner),
        st.builds("{}.append({})".format, names, inner),
        st.builds("{}({}, key={})".format, names, inner, inner),
        st.builds("{}(*{}, **{})".format, names, inner, inner),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("({} and {} or not {})".format, inner, inner, inner),
        st.builds("[{} for q in {} if {}]".format, inner, inner, inner),
        st.builds("{{q: {} for q in {}}}".format, inner, inner),
        st.builds("f'{{{}}}'".format, names),
        st.builds("(q := {})".format, names),
        st.builds("{}.a.b".format, names),
        st.builds("{}[1:{}]".format, names, inner),
        st.builds("({} < {} in {})".format, inner, inner, inner),
    ),
    max_leaves=8,
)
simple = st.one_of(
    st.builds("{} = {}".format, names, expressions),
    st.builds("{} += {}".format, names, expressions),
    st.builds("{}[{}] = {}".format, names, expressions, expressions),
    st.builds("{}.a = {}".format, names, expressions),
    st.builds("{}.a += {}".format, names, expressions),
    st.builds("del {}[{}]".format, names, expressions),
    st.builds("x, *y = {}".format, expressions),
    st.builds("return {}".format, expressions),
    st.builds("raise ValueError({})".format, expressions),
    st.builds("assert {}".format, expressions),
    st.just("pass"),
    st.just("import os.path as y"),
    expressions,
)


def blocks(inner):
    body = (
        st.lists(inner, min_size=1, max_size=3).map("\n".join).map(lambda text: textwrap.indent(text, "    "))
    )
    return st.one_of(
        st.builds("if {}:\n{}\nelse:\n{}".format, expressions, body, body),
        st.builds("for x in {}:\n{}\n    continue\nelse:\n    pass".format, expressions, body),
        st.builds("while {}:\n{}\n    break".format, expressions, body),
        st.builds("try:\n{}\nexcept (KeyError, ValueError) as y:\n{}\nfinally:\n{}".format, body, body, body),
        st.builds("try:\n{}\nexcept* OSError:\n    pass".format, st.just("    y = 1")),
        st.builds("with {} as y:\n{}".format, expressions, body),
        st.builds("def rows(z, *a, k={}, **more):\n    nonlocal y\n{}".format, expressions, body),
        st.builds(
            "class y({}):\n{}".format, names, st.just("    b = x\n    def f(self): return __class__, x")
        ),
        st.builds(
            "match {}:\n    case {{'a': y, **x}}:\n{}\n    case [y, *_]:\n{}".format, expressions, body, body
        ),
        st.builds("global table\n{}".format, st.just("table = 1")),
    )


statements = st.recursive(simple, blocks, max_leaves=6)


def compiled(text, kind):
    head = {
        "def": "def f(x, y=1, *rows):",
        "async": "async def f(x, y=1, *rows):",
        "yield": "def f(x, y=1, *rows):",
    }
    extra = {"def": "", "async": "\n    await x", "yield": "\n    y = yield x\n    yield from rows"}
    source = f"{head[kind]}{extra[kind]}\n{textwrap.indent(text, '    ')}\n    return y"
    try:
        return compile(source, "<made up>", "exec")
    except SyntaxError:  # a nonlocal in the wrong place, a global that is a parameter, ...
        return None


def codes_of(code):
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from codes_of(constant)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(statements, min_size=1, max_size=5).map("\n".join), st.sampled_from(["def", "async", "yield"])
)
def test_no_function_makes_the_guard_raise(text, kind):
    module = compiled(text, kind)
    if module is None:
        return
    for code in codes_of(module):
        Reading(code).summary()
        assert all(each.target is None or each.target >= 0 for each in instructions(code))
    made = {"table": [], "__builtins__": __builtins__}
    exec(module, made)
    verdict(Task((("map", made["f"]),)), [1])


class Hostile:
    """Whoever touches it is told off."""

    def __getattribute__(self, name):
        raise AssertionError(f"the guard ran the user's code for {name}")

    def __eq__(self, other):
        raise AssertionError("the guard compared")

    __hash__ = None

    def __bool__(self):
        raise AssertionError("the guard asked whether it is true")

    def __len__(self):
        raise AssertionError("the guard asked for its length")


def test_no_code_of_the_users_is_run():
    from allcores.guard.digests import digests, held_by

    hostile = Hostile()

    def function(x, other=hostile):
        hostile.a.append(x)
        other[1] = x
        return hostile == x

    assert verdict(Task((("map", function),)), hostile).findings
    assert digests(held_by([function])) == digests(held_by([function]))
