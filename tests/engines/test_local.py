"""Engines whose workers are threads of this process share its random generators with the calling thread."""

import random

import pytest

from allcores.engines.event_loop import EventLoop
from allcores.engines.threads import Threads
from allcores.options import seed_numbers
from allcores.tasks.surroundings import Inline, Surroundings
from allcores.tasks.task import Task


@pytest.fixture(params=[Threads, EventLoop])
def engine_of(request):
    """Makes an engine of either kind."""
    return request.param


def seeded_task():
    return Task((("map", abs),), surroundings=Surroundings(seed_numbers(1), None, (("rng",),)))


def test_what_a_seeded_item_of_the_caller_sets_is_nothing_that_threads_drew(engine_of):
    task = seeded_task()
    with Inline(task):
        task.begin(3)  # the generators are those of item 3 while a helper starts the engine
        engine = engine_of(task)
    assert Threads.drew(engine) is False


def test_what_is_drawn_after_the_engine_was_made_is_noticed(engine_of):
    task = seeded_task()
    with Inline(task):
        task.begin(3)
        engine = engine_of(task)
    random.random()
    assert Threads.drew(engine) is True
