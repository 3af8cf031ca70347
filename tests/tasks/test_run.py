"""Items that run one after another in this thread."""

from allcores.core.events import ERROR, VALUES, Outcome
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
    assert run_items(Task([(MAP, inverse)]), 3, [1, 2], into=results) == [Outcome(3, 5, VALUES, [])]
    assert results == ["a", "b", "c", 1.0, 0.5]


def test_outputs_after_an_error_are_in_their_outcome_again():
    results = ["a"]
    outcomes = run_items(Task([(MAP, inverse)]), 1, [1, 0, 2], into=results)
    assert short(outcomes) == [(1, 2, VALUES, []), (2, 3, ERROR, None), (3, 4, VALUES, [0.5])]
    assert results == ["a", 1.0]


def test_an_error_of_the_first_item_leaves_the_results_as_they_were():
    results = ["a"]
    assert short(run_items(Task([(MAP, inverse)]), 1, [0], into=results)) == [(1, 2, ERROR, None)]
    assert results == ["a"]
