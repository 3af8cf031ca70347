"""Thousands of seeded jobs with everything that can go wrong: each item is delivered once, and every job ends."""

from random import Random

import pytest

from allcores.core.rules import Rules
from allcores.testing import ALWAYS, DiesAt, DiesBooting, DiesOn, Fault, Hangs
from simulation import Case, simulate

SEEDS_A_BLOCK = 100


def some_costs(random: Random) -> list[float]:
    count = random.choice([0, 1, 2, 5, 20, 40])
    scale = random.choice([1e-5, 1e-4, 1e-3, 1e-2, 1.0])
    shape = random.randrange(3)
    if shape == 0:
        return [scale] * count
    if shape == 1:
        return [scale * random.uniform(0.1, 2) for _ in range(count)]
    return [scale * random.paretovariate(1.2) for _ in range(count)]


def some_rules(random: Random, count: int, timeout: float | None) -> Rules:
    return Rules(
        length=random.choice([None, count]),
        chunksize=random.choice([None, None, None, 1, 3, 100]),
        window=random.choice([None, None, 1, 4, 30]),
        bounded=random.random() < 0.5,
        window_bytes=random.choice([64 << 20, 300]),
        timeout=timeout,
        retries=random.choice([0, 0, 1, 3]),
        retry_wait_seconds=random.choice([0.0, 0.0, 0.01, 1.0]),
        retry_lost=random.random() < 0.8,
        retry_timeout=random.random() < 0.8,
        stop_on_error=random.random() < 0.5,
        whole_leaves=random.random() < 0.2,
    )


def some_faults(random: Random, count: int, may_hang: bool) -> tuple[Fault, ...]:
    faults: list[Fault] = []
    while count and random.random() < 0.6:
        kind = random.randrange(4 if may_hang else 3)
        if kind == 0:
            faults.append(DiesOn(random.randrange(count), random.choice([1, 1, 2, ALWAYS])))
        elif kind == 1:
            faults.append(DiesAt(random.expovariate(20), random.randrange(6)))
        elif kind == 2:
            faults.append(DiesBooting(random.randrange(6)))
        else:
            faults.append(Hangs(random.randrange(count), random.choice([1, ALWAYS])))
    return tuple(faults)


def some_case(seed: int) -> Case:
    random = Random(seed)
    costs = some_costs(random)
    count = len(costs)
    timeout = random.choice([None, None, max(0.05, 2.0 * max(costs, default=0.0)), 0.1])
    rules = some_rules(random, count, timeout)
    fails_at = random.randrange(count) if count and random.random() < 0.15 else None
    if fails_at is not None:
        rules = rules._replace(length=None)
    helps = timeout is None and random.random() < 0.3
    if rules.length is not None and seed % 5 == 0:
        told = [cost * random.uniform(0.5, 2) for cost in costs]  # more or less what they will be
        rules = rules._replace(costs=told if seed % 10 else [0.0] * count)
    return Case(
        costs,
        random.choice([1, 2, 3, 8]),
        rules._replace(may_run_here=helps),
        some_faults(random, count, timeout is not None),
        flaky={item: random.choice([1, 2, 5]) for item in range(count) if random.random() < 0.03},
        source_fails_at=fails_at,
        cancelled_after=random.randrange(1, count + 1) if count and random.random() < 0.15 else None,
        consumer_seconds=random.choice([0.0, 0.0, 0.001]) if rules.bounded else 0.0,
        helps=helps,
        ordered=random.random() < 0.8,
        boot_seconds=random.choice([0.0, 0.03]),
        latency_seconds=random.choice([0.0, 0.0, 0.0001, 0.01]),
        send_seconds=random.choice([0.0, 0.0, 0.00002]),
        item_bytes=random.choice([0, 100]),
        slowness={worker: random.choice([2.0, 30.0]) for worker in range(4) if random.random() < 0.15},
        seed=random.choice([None, seed]),
    )


@pytest.mark.parametrize("block", range(30))
def test_whatever_goes_wrong_each_item_is_delivered_once_and_the_job_ends(block):
    for seed in range(block * SEEDS_A_BLOCK, (block + 1) * SEEDS_A_BLOCK):
        try:
            simulate(some_case(seed))
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise
