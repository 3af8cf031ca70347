"""Items that run one after another in this thread."""

import operator

import pytest

from allcores.core.combine import Collector, Reduction, StepFailed
from allcores.core.events import ERROR, VALUES, Outcome
from allcores.tasks.ledger import Folded, Kept
from allcores.tasks.run import run_items
from allcores.tasks.task import MAP, Task


def inverse(x):
    """Fails for 0."""
    return 1 / x


def short(outcomes):
    """What became of items, without the exceptions."""
    return [
        (each.start, each.stop, each.kind, None if each.kind == ERROR else each.body) for each in outcomes
    ]


def test_outputs_are_in_their_outcome():
    assert run_items(Task([(MAP, inverse)]), 3, [1, 2]) == [Outcome(3, 5, VALUES, [1.0, 0.5])]


def test_outputs_may_go_straight_to_those_of_the_items_before():
    results = ["a", "b", "c"]
    assert run_items(Task([(MAP, inverse)]), 3, [1, 2], ledger=Kept(results)) == [Outcome(3, 5, VALUES, [])]
    assert results == ["a", "b", "c", 1.0, 0.5]


def test_outputs_after_an_error_are_in_their_outcome_again():
    results = ["a"]
    outcomes = run_items(Task([(MAP, inverse)]), 1, [1, 0, 2], ledger=Kept(results))
    assert short(outcomes) == [(1, 2, VALUES, []), (2, 3, ERROR, None), (3, 4, VALUES, [0.5])]
    assert results == ["a", 1.0]


def test_an_error_of_the_first_item_leaves_the_results_as_they_were():
    results = ["a"]
    assert short(run_items(Task([(MAP, inverse)]), 1, [0], ledger=Kept(results))) == [(1, 2, ERROR, None)]
    assert results == ["a"]


class Pieces(list):
    """Items that come in pieces of two."""

    def pieces(self):
        """Two at a time."""
        return (self[start : start + 2] for start in range(0, len(self), 2))


def folding(fold=sum):
    """What is fed so far, and who takes the outputs."""
    fed = []

    def noted(values):
        fed.append(list(values))
        return fold(values)

    collector = Collector(Reduction(noted, operator.add), False)
    return fed, collector, Folded(collector)


def test_outputs_are_folded_piece_by_piece():
    fed, collector, into = folding()
    seen = []

    def note(x):
        seen.append(len(fed))
        return x

    assert run_items(Task([(MAP, note)]), 0, Pieces([1, 2, 3, 4, 5]), ledger=into) == [
        Outcome(0, 5, VALUES, [])
    ]
    assert seen == [0, 0, 2, 2, 4]  # leaves of one item each were folded as soon as a piece had run
    assert into.outputs == []
    assert collector.result() == 15


def test_what_was_there_before_an_error_is_folded_and_what_follows_is_not():
    _, collector, into = folding()
    outcomes = run_items(Task([(MAP, inverse)]), 0, Pieces([1, 2, 4, 0, 5]), ledger=into)
    assert short(outcomes) == [(0, 3, VALUES, []), (3, 4, ERROR, None), (4, 5, VALUES, [0.2])]
    assert collector.result() == 1.75


def test_an_error_while_folding_is_that_of_its_item():
    _, _, into = folding(lambda values: inverse(values[0]))
    with pytest.raises(StepFailed) as caught:
        run_items(Task([(MAP, abs)]), 0, Pieces([1, 2, 0, 4]), ledger=into)
    assert caught.value.index == 2
    assert type(caught.value.__cause__) is ZeroDivisionError
