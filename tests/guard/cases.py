"""Functions that write to something, and functions that only look as if they did."""

import bisect
import collections
import configparser
import contextlib
import copy
import csv
import dataclasses
import email.message
import functools
import hashlib
import heapq
import io
import itertools
import json
import logging
import os
import random
import sys
import threading
import types
import zlib
from sys import stderr
from xml.etree import ElementTree

import numpy as np

from . import foreign

results = []
counts = {}
seen = set()
queue = collections.deque()
total = 0
array = np.zeros(3)
frame = collections.OrderedDict(a=1)
settings = types.SimpleNamespace(level=1)
estimator = foreign.Estimator()
numbers = itertools.count()
letters = (letter for letter in "abc")
iterators = {"a": iter("a")}
text = io.StringIO("a\nb\n")
data = io.BytesIO(b"abc")
file = open(os.devnull)  # noqa: SIM115
file.close()
tree = ElementTree.fromstring("<a><b/></a>")
document = ElementTree.ElementTree(tree)
configuration = configparser.ConfigParser()
message = email.message.EmailMessage()
table_writer = csv.writer(text)
hashed_so_far = hashlib.sha256()
names = collections.UserList()
local = threading.local()
log = logging.getLogger(__name__)
lock = threading.Lock()
table = {"rows": [], "n": 0}
cache = {}
memo_of_squares = {}
labels = {}
annotated: int = 1
model = None
best = None
nested = {"a": {"b": []}}


# -- writes that are lost -----------------------------------------------------------------------------


def append_to_a_global(x):
    results.append(x)


def extend_a_global(x):
    results.extend([x])


def item_of_a_global(x):
    counts[x] = x


def count_in_a_global(x):
    counts[x] = counts.get(x, 0) + 1


def add_to_a_global_set(x):
    seen.add(x)


def seen_before(x):
    if x in seen:
        return False
    seen.add(x)
    return True


def rebind_a_global(x):
    global total
    total += x


def delete_of_a_global(x):
    del counts[x]


def appendleft(x):
    queue.appendleft(x)


def array_item(x):
    array[0] += x


def array_in_place(x):
    global array
    a = array
    a += x


def array_fill(x):
    array.fill(x)


def array_out(x):
    np.add(array, x, out=array)


def ordered(x):
    frame.move_to_end("a")


def frame_inplace(item):
    item["frame"].sort_values("a", inplace=True)


def namespace_attribute(x):
    settings.level = x


def deep_in_a_dict(x):
    nested["a"]["b"].append(x)


def through_an_alias(x):
    rows = table["rows"]
    more = rows
    more.append(x)


def in_a_branch(x):
    if x > 3:
        results.append(x)
    return x


def in_a_loop(x):
    for i in range(x):
        results.append(i)


def in_a_try(x):
    try:
        int(x)
    except ValueError:
        results.append(x)
    finally:
        pass


def in_a_with(x):
    with lock:
        results.append(x)


def in_a_comprehension(x):
    return [results.append(i) for i in range(x)]


def in_a_generator(x):
    return sum(counts.setdefault(i, 1) for i in range(x))


def in_a_nested_function(x):
    def note(y):
        results.append(y)

    note(x)


def in_a_nested_lambda(x):
    return sorted(range(x), key=lambda y: results.append(y) or y)


def rows_of_a_global(x):
    for row in table.values():
        row.append(x)


def pairs_of_a_global(x):
    for _, row in nested.items():
        row["c"] = x


def one_of_two(x):
    rows = results if x else []
    rows.append(x)


def setdefault_and_append(x):
    table.setdefault("rows", []).append(x)


def helper(rows, x):
    rows.append(x)


def through_a_helper(x):
    helper(results, x)


def get_results():
    return results


def through_a_getter(x):
    get_results().append(x)


def third(x):
    results.append(x)


def second(x):
    third(x)


def first(x):
    second(x)


def zeroth(x):
    first(x)


def heap(x):
    heapq.heappush(results, x)


def insort(x):
    bisect.insort(results, x)


def shuffled(x):
    random.shuffle(results)


def set_attribute(x):
    settings.level = x


def unbound_method(x):
    list.append(results, x)


def default_argument(x, into=[]):  # noqa: B006
    into.append(x)
    return len(into)


def change_the_item(item):
    item["done"] = True
    return item


def sort_the_item(item):
    item.sort()


def append_to_part_of_the_item(item):
    item["rows"].append(1)


def in_place_on_the_item(item):
    item += [1]


def change_the_rest(*items):
    items[0].append(1)


def globals_item(x):
    globals()["total"] = x


def label(x):
    if x not in labels:
        labels[x] = len(labels)
    return labels[x]


def lazily_from_the_item(x):
    global best
    if best is None:
        best = x
    return best


def best_so_far(x):
    global best
    if best is None or x > 3:
        best = 3


def cache_that_nobody_reads(x):
    cache[x] = x * x


def walrus(x):
    if (rows := results) is not None:
        rows.append(x)


def starred(x):
    _first, *rest = table.values()
    rest[0].append(x)


def decorated(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


@decorated
def through_a_decorator(x):
    results.append(x)


@functools.cache
def through_lru_cache(x):
    results.append(x)
    return x


class Counter:
    made = 0

    def __init__(self):
        self.count = 0
        self.rows = []
        self.parts = {"a": []}

    def bump(self, x):
        self.count += 1

    def keep(self, x):
        self.rows.append(x)

    def keep_deep(self, x):
        mine = self.parts["a"]
        mine.append(x)

    def through_another(self, x):
        self.keep(x)

    def of_the_class(self, x):
        type(self).made += 1

    @classmethod
    def make(cls, x):
        cls.made += 1

    def __call__(self, x):
        self.rows.append(x)


class Registered:
    instances = []

    def __init__(self, x):
        Registered.instances.append(self)


def make_registered(x):
    return Registered(x)


counter = Counter()


def call_a_method(x):
    counter.bump(x)


def attribute_of_a_global(x):
    counter.count += 1


class Rows(list):
    def keep(self, x):
        self.append(x)


rows = Rows()


def own_kind_of_list(x):
    rows.keep(x)


def fit_a_global(x):
    return estimator.fit([x]).predict([x])


def fit_the_item(item):
    return item.fit([1]).predict([1])


def parameters_of_a_global(x):
    return estimator.set_params(depth=x).get_params()


def number_of_each(x):
    return x, next(numbers)


def number_of_a_helper(x):
    return take_from(numbers)


def take_from(iterator):
    return next(iterator)


def number_of_a_dict(x):
    return next(iterators["a"])


def loop_over_a_generator(x):
    for letter in letters:
        if letter == x:
            return letter


def pairs_of_a_generator(x):
    return dict(zip(x, letters, strict=False))


def yield_from_a_generator(x):
    yield from letters


def write_text(x):
    text.write(str(x))


def write_with_print(x):
    print(x, file=text)


def write_with_json(x):
    json.dump(x, text)


def write_a_table(x):
    table_writer.writerow([x])


def read_bytes(x):
    return data.read(1)


def append_to_an_imported_list(x):
    from guard import cases

    cases.results.append(x)


def append_to_what_is_imported(x):
    from guard.cases import results as here

    here.append(x)


@contextlib.contextmanager
def noted(x):
    results.append(x)
    yield x


def in_a_manager(x):
    with noted(x):
        return x


def seek_and_read(x):
    file.seek(0)


def read_line_after_line(x):
    for line in text:
        return line


def write_the_item(item):
    item.write("x")


def change_the_element(item):
    item.set("a", "1")


def text_of_the_element(item):
    item.text = "a"


def children_of_the_element(item):
    for child in item.iter("b"):
        child.set("a", "1")


def child_of_a_document(x):
    document.getroot()[0].set("a", "1")


def configure(x):
    configuration.read_string(x)


def set_in_a_section(x):
    configuration.set("a", "b", x)


def head_of_a_message(x):
    message.add_header("a", x)


def hash_on(x):
    hashed_so_far.update(x)


def list_of_the_library(x):
    names.append(x)


def closure_append():
    found = []

    def function(x):
        found.append(x)

    return function


def closure_nonlocal():
    number = 0

    def function(x):
        nonlocal number
        number += x

    return function


def closure_of_a_closure():
    found = []

    def function(x):
        def inner():
            found.append(x)

        inner()

    return function


FOUND = {
    "append": (append_to_a_global, "results"),
    "extend": (extend_a_global, "results"),
    "item": (item_of_a_global, "counts"),
    "count": (count_in_a_global, "counts"),
    "set add": (add_to_a_global_set, "seen"),
    "seen before": (seen_before, "seen"),
    "global": (rebind_a_global, "total"),
    "del": (delete_of_a_global, "counts"),
    "appendleft": (appendleft, "queue"),
    "array item": (array_item, "array"),
    "array in place": (array_in_place, "array"),
    "array fill": (array_fill, "array"),
    "array out": (array_out, "array"),
    "ordered": (ordered, "frame"),
    "frame inplace": (frame_inplace, "item[...]", {"frame": None}),
    "namespace": (namespace_attribute, "settings.level"),
    "deep": (deep_in_a_dict, "nested[...][...]"),
    "alias": (through_an_alias, "table[...]"),
    "branch": (in_a_branch, "results"),
    "loop": (in_a_loop, "results"),
    "try": (in_a_try, "results"),
    "with": (in_a_with, "results"),
    "comprehension": (in_a_comprehension, "results"),
    "generator": (in_a_generator, "counts"),
    "nested function": (in_a_nested_function, "results"),
    "nested lambda": (in_a_nested_lambda, "results"),
    "rows": (rows_of_a_global, "table"),
    "pairs": (pairs_of_a_global, "nested"),
    "one of two": (one_of_two, "results"),
    "setdefault and append": (setdefault_and_append, "table"),
    "helper": (through_a_helper, "results"),
    "getter": (through_a_getter, "results"),
    "depth three": (zeroth, "results"),
    "heap": (heap, "results"),
    "insort": (insort, "results"),
    "shuffle": (shuffled, "results"),
    "setattr": (set_attribute, "settings"),
    "unbound method": (unbound_method, "results"),
    "default argument": (default_argument, "into"),
    "item changed": (change_the_item, "item", {}),
    "item sorted": (sort_the_item, "item", [1]),
    "array sorted": (sort_the_item, "item", np.zeros(2)),
    "part of the item": (append_to_part_of_the_item, "item[...]", {"rows": []}),
    "item in place": (in_place_on_the_item, "item", [1]),
    "rest": (change_the_rest, "items", []),
    "globals()": (globals_item, "globals()"),
    "label": (label, "labels"),
    "lazily from the item": (lazily_from_the_item, "best"),
    "best so far": (best_so_far, "best"),
    "unread cache": (cache_that_nobody_reads, "cache"),
    "walrus": (walrus, "results"),
    "starred": (starred, "table"),
    "decorator": (through_a_decorator, "results"),
    "lru_cache": (through_lru_cache, "results"),
    "self attribute": (counter.bump, "self.count"),
    "self list": (counter.keep, "self.rows"),
    "self deep": (counter.keep_deep, "self.parts[...]"),
    "self through": (counter.through_another, "self.rows"),
    "class counter": (counter.of_the_class, "Counter.made"),
    "class method": (Counter.make, "self.made"),
    "callable object": (counter, "self.rows"),
    "constructor": (make_registered, "Registered.instances"),
    "class itself": (Registered, "Registered.instances"),
    "method of a global": (call_a_method, "counter.count"),
    "attribute of a global": (attribute_of_a_global, "counter.count"),
    "own kind of list": (own_kind_of_list, "rows"),
    "next": (number_of_each, "numbers"),
    "next in a helper": (number_of_a_helper, "numbers"),
    "next of an element": (number_of_a_dict, "iterators[...]"),
    "next of a captured one": ((lambda it: lambda x: next(it))(iter("abc")), "it"),
    "loop over a generator": (loop_over_a_generator, "letters"),
    "zip with a generator": (pairs_of_a_generator, "letters"),
    "yield from": (yield_from_a_generator, "letters"),
    "write": (write_text, "text"),
    "print": (write_with_print, "text"),
    "json": (write_with_json, "text"),
    "table": (write_a_table, "table_writer"),
    "read": (read_bytes, "data"),
    "imported module": (append_to_an_imported_list, "guard.cases.results"),
    "imported name": (append_to_what_is_imported, "guard.cases.results"),
    "manager": (in_a_manager, "results"),
    "seek": (seek_and_read, "file"),
    "lines": (read_line_after_line, "text"),
    "bound write": (text.write, "StringIO"),
    "written item": (write_the_item, "item", io.StringIO()),
    "element": (change_the_element, "item", tree),
    "text of an element": (text_of_the_element, "item.text", tree),
    "children of an element": (children_of_the_element, "item.iter(...)[...]", tree),
    "child of a document": (child_of_a_document, "document.getroot(...)[...]"),
    "configuration": (configure, "configuration"),
    "section": (set_in_a_section, "configuration"),
    "message": (head_of_a_message, "message"),
    "hash of all": (hash_on, "hashed_so_far"),
    "list of the library": (list_of_the_library, "names"),
    "fit": (fit_a_global, "estimator"),
    "fitted item": (fit_the_item, "item", foreign.Estimator()),
    "set_params": (parameters_of_a_global, "estimator"),
    "bound fit in a partial": (functools.partial(estimator.fit, y=None), "Estimator"),
    "bound fit": (estimator.fit, "Estimator"),
    "closure": (closure_append(), "found"),
    "nonlocal": (closure_nonlocal(), "number"),
    "closure of a closure": (closure_of_a_closure(), "found"),
    "partial": (functools.partial(helper, []), "argument of partial"),
    "partial keyword": (functools.partial(helper, x=1, rows=results), "rows"),
    "bound builtin": (results.append, "list"),
    "lambda": (lambda x: results.append(x), "results"),
    "two lambdas in a line": ((lambda x: x, lambda x: seen.add(x))[1], "seen"),
}


# -- and what is none ---------------------------------------------------------------------------------


def local_list(x):
    rows = []
    rows.append(x)
    rows[0] = 3
    return rows


def local_dict(x):
    counts = {}
    for i in range(x):
        counts[i] = counts.get(i, 0) + 1
    return counts


def comprehension_target(x):
    return {results: y for results in range(x) for y in range(2)}


def rebound_parameter(x):
    x = list(range(x))
    x.append(3)
    return x


def copied_item(item):
    item = dict(item)
    item["done"] = True
    return item


def copied_array(item):
    item = item.copy()
    item.sort()
    return item


def local_counter(x):
    data = collections.Counter({"a": x})
    data["b"] = data["a"] * 2
    data.subtract({"a": 1})
    data += data
    return data


@dataclasses.dataclass
class Point:
    x: int = 0
    rows: list = dataclasses.field(default_factory=list)

    def shift(self, by):
        self.x += by
        self.rows.append(by)
        return self


def fit_a_copy(x):
    model = copy.deepcopy(estimator)
    model.fit([x])
    return foreign.Estimator(3).set_params(x).fit([x]).predict([x])


def only_predict(x):
    return estimator.predict([x]), foreign.Client.keep


def next_of_a_new_iterator(x):
    return next(iter(counts.values())), next(reversed(results)), take_from(iter(results)), next(zip(results))


def next_of_the_item(item):
    return next(item), list(item), [2 * x for x in item]


def first_of(item):
    return take_from(iter(item))


def own_files(x):
    with open(os.devnull, "w") as file:
        file.write(str(x))
        print(x, file=file)
    text = io.StringIO()
    text.write("x")
    return text.getvalue()


def read_the_item(item):
    item.seek(0)
    return item.read(), item.readlines()


def to_standard_error(x):
    print(x, file=stderr)
    stderr.write(str(x))


def found_text(item):
    return item.find("a"), item.iter, text.getvalue(), tree.find("b").get("a"), configuration.get


def imports_of_its_own(x):
    import os.path as p
    from xml.etree.ElementTree import Element

    import nowhere_to_be_found

    return p.join("a", x), Element("a").set("b", x), nowhere_to_be_found.append(x)


def own_element(x):
    element = ElementTree.Element("a")
    element.set("a", x)
    ElementTree.SubElement(element, "b").text = x
    return element


def loop_over_lists(x):
    return [2 * y for y in results] + list(map(str, counts)) + sorted(zip(results, counts, strict=True))


def local_object(x):
    point = Point(x)
    point.x = 3
    point.rows.append(x)
    point.shift(2)
    return point


def generator_state(x):
    def walk():
        rows = []
        for i in range(x):
            rows.append(i)
            yield rows

    return list(walk())


def local_nonlocal(x):
    number = 0

    def add():
        nonlocal number
        number += 1

    add()
    return number


def print_and_log(x):
    print(x, file=sys.stderr)
    log.info("%s", x)
    sys.stdout.write("")


def environment(x):
    os.environ["ALLCORES_TEST"] = str(x)


def write_a_file(x):
    with open(os.devnull, "w") as file:
        file.write(str(x))


def thread_local(x):
    local.value = x


def number_in_place(x):
    x += 1
    x *= 2
    return x


def reads_only(x):
    return results[0:1], counts.get(x), len(seen), array.sum(), sorted(results), settings.level


def lazy_model(x):
    global model
    if model is None:
        model = object()
    return model, x


def looked_up(x):
    if x not in cache:
        cache[x] = x * x
    return cache[x]


def memo(x):
    try:
        return memo_of_squares[x]
    except KeyError:
        memo_of_squares[x] = x * x
        return memo_of_squares[x]


def cached_default(x, _cache={}):  # noqa: B006
    if x not in _cache:
        _cache[x] = x * x
    return _cache[x]


def with_a_class_of_its_own(x):
    class Own:
        width: int = 1
        height: "int"
        table = {}
        table["rows"] = []

        class Inner:
            depth: int = 2

    return Own().width + Own.Inner.depth


def with_a_dataclass_of_its_own(x):
    @dataclasses.dataclass
    class Pair:
        left: int
        right: int = 0

    return Pair(x).left


class Lazy:
    def __init__(self):
        self._table = None
        self._cache = {}

    def run(self, x):
        if self._table is None:
            self._table = list(range(10))
        return self._table[x]

    def run_cached(self, x):
        if x not in self._cache:
            self._cache[x] = x * x
        return self._cache[x]

    def lazily(self, x):
        if not hasattr(self, "other"):
            self.other = object()
        return x


@functools.cache
def lru_cached(x):
    return x + 1


def local_hash(x):
    digest = hashlib.sha256()
    digest.update(b"x")
    return digest.hexdigest()


def shallow_copy(x):
    rows = list(results)
    rows.append(x)
    rows.sort()
    return rows


def slice_of_a_global(x):
    part = sorted(counts)
    part.clear()
    return part


def own_arguments(*args, **kwargs):
    kwargs["y"] = 1
    return args, kwargs


def helper_on_a_local(x):
    rows = []
    helper(rows, x)
    return rows


def array_made_here(x):
    values = np.zeros(10)
    values[3] = x
    values += 1
    values.sort()
    np.add(values, 1, out=values)
    return values


def string_methods(x):
    text = "abc".replace("a", "b")
    return text.upper() + str(x)


def recursion(n):
    return 1 if n < 2 else n * recursion(n - 1)


def heap_of_its_own(x):
    heap = []
    heapq.heappush(heap, x)
    return heapq.heappop(heap)


def matched(x):
    match x:
        case {"a": y}:
            return y
        case [y, *rest]:
            return rest
        case _:
            return None


def random_of_its_own(x):
    generator = random.Random(x)
    values = list(range(10))
    generator.shuffle(values)
    return values


async def waiting(x):
    rows = []
    rows.append(x)
    return rows


def closure_reads():
    factor = [3]
    return lambda x: x * factor[0]


NOT_FOUND = {
    "annotations of its own class": (with_a_class_of_its_own,),
    "annotations of its own dataclass": (with_a_dataclass_of_its_own,),
    "local list": (local_list,),
    "local dict": (local_dict,),
    "comprehension target": (comprehension_target,),
    "rebound parameter": (rebound_parameter,),
    "copied item": (copied_item, {}),
    "copied array": (copied_array, np.zeros(3)),
    "local counter": (local_counter,),
    "fitted copy": (fit_a_copy,),
    "predict": (only_predict,),
    "next of a new iterator": (next_of_a_new_iterator,),
    "item that is an iterator": (next_of_the_item, iter("abc")),
    "first of the item": (first_of, [1]),
    "own files": (own_files,),
    "item that is a file": (read_the_item, io.StringIO("a")),
    "standard error": (to_standard_error,),
    "bound standard error": (stderr.write, "a"),
    "found": (found_text, "abc"),
    "own imports": (imports_of_its_own,),
    "own element": (own_element,),
    "loops": (loop_over_lists,),
    "local object": (local_object,),
    "generator state": (generator_state,),
    "local nonlocal": (local_nonlocal,),
    "print and log": (print_and_log,),
    "environment": (environment,),
    "file": (write_a_file,),
    "thread local": (thread_local,),
    "number in place": (number_in_place,),
    "reads": (reads_only,),
    "lazy model": (lazy_model,),
    "cache": (looked_up,),
    "memo": (memo,),
    "cached default": (cached_default,),
    "lazy table": (Lazy().run,),
    "lazy cache": (Lazy().run_cached,),
    "lazy attribute": (Lazy().lazily,),
    "lru_cache": (lru_cached,),
    "hash": (local_hash,),
    "shallow copy": (shallow_copy,),
    "sorted copy": (slice_of_a_global,),
    "own arguments": (own_arguments,),
    "helper on a local": (helper_on_a_local,),
    "array made here": (array_made_here,),
    "string methods": (string_methods,),
    "recursion": (recursion,),
    "own heap": (heap_of_its_own,),
    "match": (matched,),
    "own random": (random_of_its_own,),
    "coroutine": (waiting,),
    "closure that reads": (closure_reads(),),
    "a class": (Point,),
    "a builtin": (abs,),
    "a ufunc": (np.sqrt,),
    "a library's function": (zlib.crc32,),
    "two lambdas in a line": ((lambda x: x, lambda x: seen.add(x))[0],),
}
