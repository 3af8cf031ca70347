"""A memoryview arrives as what it is, whichever way it goes: never as bytes."""

import array

import pytest

import allcores as ac

NUMBERS = array.array("i", [1, 2, 300, 4])
VIEWS = {
    "numbers": memoryview(NUMBERS),
    "read-only": memoryview(NUMBERS).toreadonly(),
    "two dimensions": memoryview(NUMBERS).cast("B").cast("i", (2, 2)),
    "no dimension": memoryview(NUMBERS)[:1].cast("B").cast("i", ()),
    "characters": memoryview(b"abc").cast("c"),
    "empty": memoryview(array.array("d")),
    "large": memoryview(array.array("d", range(50_000))),
}


def same(view):
    return view


def about(view):
    return type(view), view.format, view.shape, view.readonly, view.tolist()


def fill(view):
    view[0] = 7
    return view.tolist()


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_views_arrive_as_items_as_captures_and_as_results(way, view):
    assert way.map(about, [view, [view][0]]) == [about(view)] * 2
    assert way.map(lambda x: about(view), range(2)) == [about(view)] * 2
    assert [about(each) for each in way.map(same, [view, view])] == [about(view)] * 2


def test_a_view_inside_an_item_and_beside_others_is_one_too(way):
    items = [{"view": VIEWS["numbers"]}, 1, VIEWS["empty"], "text"]
    results = way.map(same, items)
    assert results == items
    assert type(results[0]["view"]) is memoryview


def test_items_that_are_one_view_share_no_memory_in_processes(moving):
    assert moving.map(fill, [VIEWS["numbers"]] * 2, writes="allow") == [[7, 2, 300, 4]] * 2
    assert NUMBERS[0] == 1


@pytest.mark.parametrize("step", [2, -1])
def test_a_view_with_gaps_is_refused_with_what_to_write(moving, step):
    view = memoryview(NUMBERS)[::step]
    with pytest.raises(ac.Unpicklable, match=r"item 0 .*C-contiguous.*Write view\.tobytes\(\)"):
        moving.map(about, [view])
    with pytest.raises(ac.Unpicklable, match=r"'view' is a memoryview.*Write view\.tobytes\(\)"):
        moving.map(lambda x: about(view), [1])
    with pytest.raises(ac.Unpicklable, match=r"result of item 0 .*Write view\.tobytes\(\)"):
        moving.map(lambda x: memoryview(bytes(8))[::2], [1])


def test_a_view_of_a_foreign_format_is_refused(moving):
    numpy = pytest.importorskip("numpy")
    with pytest.raises(ac.Unpicklable, match="native"):
        moving.map(about, [memoryview(numpy.zeros(3, ">i4"))])
