"""The jobs of the demo: real functions over real input, each as a user would write it.

A row's ``prepare`` does what comes before the loop (reading, loading, a server to talk to) and is not timed. The
functions stand on the level of the module, so that workers find them by name.
"""

from __future__ import annotations

import functools
import itertools
import math
import re
import subprocess
import sys
import sysconfig
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple


class Case:
    """A function over items; or a function over any number of them at once, and how two of its outputs are merged."""

    def __init__(
        self,
        function: Callable[[Any], Any],
        items: list[Any],
        merge: Callable[[Any, Any], Any] | None = None,
        batch: int = 1,
    ) -> None:
        self.function = function
        self.items = items
        self.merge = merge
        self.batch = batch

    def serial(self) -> Any:
        """The loop: where outputs would be merged, the function loops over all items itself."""
        if self.merge is not None:
            return self.function(self.items)
        return [self.function(item) for item in self.items]

    def parallel(self) -> Any:
        """The same with allcores."""
        import allcores as ac

        if self.merge is not None:
            return ac.par(self.items).batch(self.batch).map(self.function).reduce(self.merge)
        return ac.map(self.function, self.items)

    def arguments(self) -> list[Any]:
        """What the function is called with, one after another."""
        if self.merge is None:
            return self.items
        return [self.items[first : first + self.batch] for first in range(0, len(self.items), self.batch)]


class Row(NamedTuple):
    """One line of the demo's table.

    Attributes:
        name: how it is chosen on the command line.
        title: how the table calls it.
        prepare: a context in which its case can run; the argument asks for a small one.
        needs: a package that must be there, or None.
        waits: items wait rather than compute: cores are no limit.
        stays: the work is too small to move; the best possible is the loop itself.
    """

    name: str
    title: str
    prepare: Callable[[bool], AbstractContextManager[Case]]
    needs: str | None = None
    waits: bool = False
    stays: bool = False


# --- a loop that computes ---------------------------------------------------------------------------------


def sum_up(size: int) -> int:
    """Adds the numbers below ``size``, one by one."""
    total = 0
    for number in range(size):
        total += number
    return total


@contextmanager
def loop(quick: bool) -> Iterator[Case]:
    """Items of very different size, the largest last."""
    unit = 10**4 if quick else 10**6
    yield Case(sum_up, [item * unit for item in range(1, 9)])


# --- word count as map-reduce -----------------------------------------------------------------------------


def library_sources() -> list[Path]:
    """The Python files of the standard library, in a fixed order."""
    root = Path(sysconfig.get_path("stdlib"))
    return sorted(
        path for path in root.rglob("*.py") if not {"site-packages", "dist-packages"} & set(path.parts)
    )


WORD = re.compile(r"[a-z]+")


def count_words(paths: list[Path]) -> Counter[str]:
    """How often each word stands in these files."""
    counts: Counter[str] = Counter()
    for path in paths:
        counts.update(WORD.findall(path.read_text(encoding="utf-8", errors="replace").lower()))
    return counts


def merge_counts(left: Counter[str], right: Counter[str]) -> Counter[str]:
    """Adds the counts on the right to those on the left."""
    left.update(right)
    return left


@contextmanager
def words(quick: bool) -> Iterator[Case]:
    """Sixteen files become their counts; counts are merged where they arise."""
    paths = library_sources()
    yield Case(count_words, paths[:160] if quick else paths, merge_counts, batch=16)


# --- cross-validation -------------------------------------------------------------------------------------


def score_fold(images: Any, labels: Any, fold: tuple[Any, Any]) -> float:
    """Trains on one part of the data; the accuracy on the other."""
    from sklearn.svm import SVC

    train, test = fold
    return float(SVC().fit(images[train], labels[train]).score(images[test], labels[test]))


@contextmanager
def folds(quick: bool) -> Iterator[Case]:
    """20-fold cross-validation on the handwritten digits that scikit-learn ships; folds are the items."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import StratifiedKFold

    images, labels = load_digits(return_X_y=True)
    if quick:
        images, labels = images[:400], labels[:400]
    items = list(StratifiedKFold(20).split(images, labels))
    yield Case(functools.partial(score_fold, images, labels), items)


# --- training over a grid ---------------------------------------------------------------------------------


def train_network(images: Any, labels: Any, epochs: int, settings: dict[str, Any]) -> tuple[float, float]:
    """Trains a network with these settings; its loss and its accuracy on the images it has not seen."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    split = len(images) * 3 // 4
    model = MLPClassifier(random_state=0, max_iter=epochs, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is meant
        model.fit(images[:split], labels[:split])
    return float(model.loss_), float(model.score(images[split:], labels[split:]))


@contextmanager
def grid(quick: bool) -> Iterator[Case]:
    """Twelve networks of different size and pace on the digits."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import ParameterGrid

    images, labels = load_digits(return_X_y=True)
    settings = ParameterGrid(
        {
            "hidden_layer_sizes": [(32,), (64,), (64, 32)],
            "alpha": [1e-4, 1e-2],
            "learning_rate_init": [1e-3, 1e-2],
        }
    )
    epochs = 2 if quick else 60
    yield Case(functools.partial(train_network, images / 16.0, labels, epochs), list(settings))


# --- requests that wait -----------------------------------------------------------------------------------


def fetch(port: int, path: str) -> str:
    """The answer of the server on this machine to one request."""
    from http.client import HTTPConnection

    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


@contextmanager
def requests(quick: bool) -> Iterator[Case]:
    """Requests to a server in a process of its own, which waits 20 ms before each answer."""
    server = subprocess.Popen(
        [sys.executable, "-m", "allcores.cli.demo_server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            port = int(server.stdout.readline())
            count = 40 if quick else 200
            yield Case(functools.partial(fetch, port), [f"/page/{number}" for number in range(count)])
        finally:
            server.stdin.close()  # its sign to stop


# --- features of many small rows --------------------------------------------------------------------------

IDENTIFIER = re.compile(r"[A-Za-z_]\w*")


def line_features(row: dict[str, Any]) -> dict[str, Any]:
    """Numbers that describe a line of source text."""
    text: str = row["text"]
    names = IDENTIFIER.findall(text)
    counts = Counter(text)
    entropy = (
        -sum(count / len(text) * math.log2(count / len(text)) for count in counts.values()) if text else 0.0
    )
    return {
        "file": row["file"],
        "indent": len(text) - len(text.lstrip()),
        "names": len(names),
        "distinct": len(set(names)),
        "longest": max(map(len, names), default=0),
        "position": row["line"] / row["lines"],
        "entropy": entropy,
    }


def library_lines() -> Iterator[dict[str, Any]]:
    """Every line of the standard library as a row, over and over."""
    for file, path in enumerate(itertools.cycle(library_sources())):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        for number, text in enumerate(lines):
            yield {"file": file, "line": number, "lines": len(lines), "text": text}


@contextmanager
def features(quick: bool) -> Iterator[Case]:
    """One cheap function over a great many dicts."""
    yield Case(line_features, list(itertools.islice(library_lines(), 4_000 if quick else 200_000)))


# --- a loop that is too small -----------------------------------------------------------------------------


def square(number: int) -> int:
    """As little work as a function can do."""
    return number * number


@contextmanager
def tiny(_quick: bool) -> Iterator[Case]:
    """A tenth of a millisecond of work: to start anything would only cost."""
    yield Case(square, list(range(1000)))


ROWS = (
    Row("loop", "loop over 1..8, sums to item × 10⁶", loop),
    Row("words", "word count of the standard library", words),
    Row("folds", "20-fold cross-validation of SVC", folds, needs="sklearn"),
    Row("grid", "12 neural networks of a grid", grid, needs="sklearn"),
    Row("requests", "200 requests that wait 20 ms", requests, waits=True),
    Row("features", "features of 200,000 dicts", features),
    Row("tiny", "tiny loop that must stay inline", tiny, stays=True),
)
