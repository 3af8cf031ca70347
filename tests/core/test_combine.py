"""Reductions: whatever the cuts, the grouping and the order of arrival, the value depends on the items alone."""

import itertools

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from allcores.core.combine import ABSENT, Collector, Reduction, StepFailed, leaf_end, leaf_length

JOIN = Reduction("".join, lambda left, right: left + right)
SUM = Reduction(sum, lambda left, right: left + right)


def reduced(reduction, outputs, cuts, spreads=False, in_workers=()):
    """The value when the items are cut there; runs whose number is in ``in_workers`` are reduced elsewhere first."""
    caller = Collector(reduction, spreads)
    borders = sorted({0, len(outputs), *(cut % (len(outputs) + 1) for cut in cuts)})
    for number, (start, stop) in enumerate(itertools.pairwise(borders)):
        if number not in in_workers:
            caller.items(start, outputs[start:stop])
            continue
        worker = Collector(reduction, spreads)
        worker.items(start, outputs[start:stop])
        for first, last, is_node, value in worker.take():
            if is_node:
                caller.node(first, last, value)
            else:
                assert last - first == len(value)
                caller.items(first, value)
    return caller.result()


cuts = st.lists(st.integers(0, 5000), max_size=30)
places = st.sets(st.integers(0, 30))


@given(count=st.integers(0, 3000), cuts=cuts, in_workers=places)
@settings(max_examples=40, deadline=None)
def test_no_cut_changes_what_a_merge_that_does_not_commute_gives(count, cuts, in_workers):
    words = [f"{index}," for index in range(count)]
    expected = "".join(words) if words else ABSENT
    assert reduced(JOIN, words, cuts, in_workers=in_workers) == expected


@given(seed=st.randoms(use_true_random=False), count=st.integers(0, 3000), cuts=cuts, in_workers=places)
@settings(max_examples=40, deadline=None)
def test_no_cut_changes_a_bit_of_a_sum_of_floats(seed, count, cuts, in_workers):
    numbers = [seed.uniform(-1, 1) * 10 ** seed.randrange(-8, 8) for _ in range(count)]
    whole = reduced(SUM, numbers, [])
    cut = reduced(SUM, numbers, cuts, in_workers=in_workers)
    assert cut is whole if whole is ABSENT else cut.hex() == whole.hex()


@given(st.lists(st.lists(st.text(max_size=2), max_size=3), max_size=1200), cuts, places)
@settings(max_examples=40, deadline=None)
def test_items_that_became_nothing_or_many_values_join_like_the_loop(outputs, cuts, in_workers):
    values = [value for each in outputs for value in each]
    expected = "".join(values) if values else ABSENT
    assert reduced(JOIN, outputs, cuts, spreads=True, in_workers=in_workers) == expected


def test_the_value_is_a_fold_of_leaves_merged_by_the_binary_tree():
    tree = Reduction(lambda values: [*values], lambda left, right: (left, right))
    assert reduced(tree, list(range(6)), []) == ((([0], [1]), ([2], [3])), ([4], [5]))
    deep = Collector(tree, False)
    deep.node(0, 512, "head")
    deep.items(512, range(512, 517))
    assert deep.result() == ("head", (([512, 513], [514, 515]), [516]))


@given(st.integers(0, 1 << 40))
@settings(max_examples=300)
def test_a_leaf_is_one_item_below_512_and_then_a_256th_of_its_octave(index):
    length = leaf_length(index)
    assert length == (1 if index < 512 else 2 ** (index.bit_length() - 9))
    start = index - index % length
    assert leaf_end(index) == start + length
    assert {leaf_length(start), leaf_length(start + length - 1)} == {length}


def test_a_step_that_fails_says_at_which_item():
    def fold(values):
        if 7 in values:
            raise ValueError("seven")
        return sum(values)

    collector = Collector(Reduction(fold, lambda left, right: left + right), False)
    with pytest.raises(StepFailed) as caught:
        collector.items(0, range(10))
    assert caught.value.index == 7
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_merge_that_fails_says_the_first_item_of_its_right_side():
    def merge(left, right):
        if right == 12:
            raise ValueError("twelve")
        return right

    collector = Collector(Reduction(lambda values: values[0], merge), False)
    with pytest.raises(StepFailed) as caught:
        collector.items(0, [0, 1, 2, 3, 4, 5, 6, 12])
    assert caught.value.index == 7


def test_nothing_at_all_is_absent_and_stays_so_after_pickling():
    import pickle

    assert Collector(SUM, False).result() is ABSENT
    assert pickle.loads(pickle.dumps(ABSENT)) is ABSENT
