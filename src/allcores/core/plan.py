"""Which engine, how many workers, and why: decided from measurements alone.

The question is always what the *rest* of the work would take. Workers boot while the caller goes on, so a boot
costs no time of its own; it only delays when the others join in.
"""

from __future__ import annotations

from functools import partial

from allcores.core.records import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

INLINE, THREADS, PROCESSES, ASYNCIO = "inline", "threads", "processes", "asyncio"

CHEAP_SECONDS = 0.0002  # an item: threads gain nothing, and one of them says little
WAITING_SHARE = 0.5  # an item waits when it uses the processor for less than this share of its time
HOLDING_SHARE = 0.3  # it holds the GIL when others are kept from it for more than this share
MOST_WAITING = 64
FIRST_WAITING = 16
LEAST_GAIN_SECONDS = 0.002
LEAST_GAIN_SHARE = 0.05
LEAST_PROCESSES_GAIN_SHARE = 0.2  # predictions of what transport costs are not better than this
THREAD_DISPATCH_SECONDS = 50e-6  # an item, when items wait
CHUNK_DISPATCH_SECONDS = 60e-6
CALLER_ITEM_SECONDS = 1.8e-6  # what the calling thread does for an item that travels, beside pickling
WORKER_ITEM_SECONDS = 1.2e-6  # and what its worker does
UNKNOWN_TRANSPORT_SECONDS = 5e-6
FIRST_ITEM_DISCOUNT = (
    3.0  # the first item often pays for imports and caches: the others may take so much less
)


WAITING = "while one item waits others can wait too: threads cost nothing to start"
COMPUTING = "all that it reaches is known to be safe in threads: nothing starts, and nothing travels"
ANSWERING = "processes answer after {}, and then {} work at once"
ONE_JOB = "n_jobs=1 asks for one worker: the caller is that one"
ONE_CORE = "there is one core to compute on"
NO_OTHER = "nothing else can run the rest: it stays here"
NO_GAIN = "moving the rest to other workers would not save time"


class Sample(NamedTuple):
    """What was seen of the items that ran so far."""

    items: int
    seconds: float
    cpu_seconds: float
    late_share: float | None = None  # share of time in which another thread was kept from the GIL
    transport_seconds: float | None = (
        None  # to pickle and unpickle one item and its result, on both sides together
    )


class Facts(NamedTuple):
    """What is known about the machine and about what is warm."""

    cores: int
    boot_seconds: float
    gil: bool = True
    setup_seconds: float = 0.0  # what each worker does before its first item, threads too
    luggage_seconds: float = 0.0  # to pickle what the function carries, and to unpickle it again
    loading_seconds: float = 0.0  # until threads may compute: the caller loads what judges and runs them

    @property
    def answer_seconds(self) -> float:
        """Until a process begins its first item, once the function is pickled."""
        return self.boot_seconds + self.setup_seconds + self.luggage_seconds / 2


class Plan:
    """How a job will run, and why.

    Attributes:
        engine: "inline", "threads", "asyncio" or "processes".
        n_jobs: number of workers; 1 for "inline".
        most_jobs: number of workers that it may grow to where items wait.
        seconds: predicted seconds for the rest of the items, by engine; None where the engine cannot do it.
        reasons: sentences that say why.
    """

    __slots__ = ("_reasons", "engine", "most_jobs", "n_jobs", "seconds")

    def __init__(
        self,
        engine: str,
        n_jobs: int,
        most_jobs: int,
        seconds: dict[str, float | None],
        reasons: list[str] | Callable[[], list[str]],
    ) -> None:
        self.engine = engine
        self.n_jobs = n_jobs
        self.most_jobs = most_jobs
        self.seconds = seconds
        self._reasons = reasons

    @property
    def reasons(self) -> list[str]:
        """Put into words when somebody asks: most plans are looked at by nobody."""
        if not isinstance(self._reasons, list):
            self._reasons = self._reasons()
        return self._reasons

    def __repr__(self) -> str:
        return f"Plan(engine={self.engine!r}, n_jobs={self.n_jobs})"

    def __str__(self) -> str:
        some = f"with {self.n_jobs} worker{'s' * (self.n_jobs != 1)}"
        workers = "in the calling thread" if self.engine == INLINE else some
        if self.most_jobs > self.n_jobs:
            workers += f" (growing up to {self.most_jobs} should the items wait)"
        lines = [f"{self.engine}, {workers}"]
        for engine, seconds in self.seconds.items():
            lines.append(f"  {engine:<10} {'not possible' if seconds is None else in_words(seconds)}")
        lines.extend(f"- {reason}" for reason in self.reasons)
        return "\n".join(lines)


def choose(
    sample: Sample,
    remaining: int | None,
    facts: Facts,
    n_jobs: int | None = None,
    refused: Mapping[str, str] | None = None,
    thread_safe: bool = False,
) -> Plan:
    """The plan for the rest of the items.

    Args:
        sample: what was measured so far; at least one item, or the part of one that has run.
        remaining: items left; None when nobody knows, and then as many are assumed as have run: what has lasted
            will last.
        facts: cores, and how long workers take to answer.
        n_jobs: the user's cap, or None.
        refused: engines that cannot do this job, with the reason.
        thread_safe: several threads may compute items at once.

    Example:
        >>> plan = choose(Sample(1, 0.1, 0.1), 99, Facts(cores=2, boot_seconds=0.03))
        >>> plan.engine, plan.n_jobs
        ('processes', 2)
        >>> choose(Sample(1, 0.02, 0.0), 199, Facts(cores=2, boot_seconds=0.03)).engine
        'threads'
        >>> choose(Sample(1000, 0.001, 0.001), 9000, Facts(cores=2, boot_seconds=0.03)).engine
        'inline'
    """
    refused = refused or {}
    cost = sample.seconds / sample.items
    left = sample.items if remaining is None else remaining
    work = left * cost
    held = sample.late_share is not None and sample.late_share > HOLDING_SHARE
    waits = sample.cpu_seconds < WAITING_SHARE * sample.seconds and not held
    computing_jobs = max(1, min(n_jobs or facts.cores, left))
    waiting_jobs = max(1, min(n_jobs or MOST_WAITING, left))
    at_once = max(computing_jobs, waiting_jobs) if waits else computing_jobs
    threads = None
    if THREADS not in refused and (waits or (thread_safe and _computes_beside_the_gil(sample, facts))):
        jobs = waiting_jobs if waits else computing_jobs
        threads = _threads_seconds(sample, left, jobs, facts, grows=n_jobs is None)
    processes = _processes_seconds(sample, left, facts, at_once) if PROCESSES not in refused else None
    seconds = {INLINE: work, THREADS: threads, PROCESSES: processes}
    threads_gain = max(LEAST_GAIN_SECONDS, (LEAST_GAIN_SHARE if waits else LEAST_PROCESSES_GAIN_SHARE) * work)

    told = {} if n_jobs == 1 else refused
    because = partial(_reasons, sample, waits, left, remaining is None, facts, at_once, told)

    if n_jobs == 1:
        return Plan(INLINE, 1, 1, seconds, partial(because, ONE_JOB))
    if threads is not None and work - threads > threads_gain and (waits or computing_jobs > 1):
        first = min(FIRST_WAITING, jobs) if waits and n_jobs is None else jobs
        return Plan(THREADS, first, jobs, seconds, partial(because, WAITING if waits else COMPUTING))
    if processes is not None and computing_jobs > 1 and _surely_pay(sample, left, facts, at_once):
        most = max(computing_jobs, waiting_jobs)  # should the items wait after all
        return Plan(PROCESSES, computing_jobs, most, seconds, partial(because, ANSWERING))
    if facts.cores == 1 and not waits:
        return Plan(INLINE, 1, 1, seconds, partial(because, ONE_CORE))
    stuck = threads is None and PROCESSES in refused
    return Plan(INLINE, 1, 1, seconds, partial(because, NO_OTHER if stuck else NO_GAIN))


def _reasons(
    sample: Sample,
    waits: bool,
    left: int,
    unknown: bool,
    facts: Facts,
    at_once: int,
    refused: Mapping[str, str],
    why: str,
) -> list[str]:
    cost = sample.seconds / sample.items
    return [
        _measured(sample, waits),
        _what_is_left(left, unknown, left * cost),
        why.format(in_words(facts.answer_seconds), at_once),
        *(f"no {engine}: {reason}" for engine, reason in refused.items()),
    ]


def missed_seconds(
    plan: Plan,
    sample: Sample,
    remaining: int | None,
    facts: Facts,
    n_jobs: int | None = None,
    refused: Mapping[str, str] | None = None,
) -> float:
    """What the rest of the items, which ``plan`` leaves in the caller, would gain if workers were there already.

    Example:
        >>> sample, cold = Sample(2, 0.02, 0.02), Facts(cores=2, boot_seconds=0.1)
        >>> plan = choose(sample, 10, cold)
        >>> plan.engine, round(missed_seconds(plan, sample, 10, cold), 3)
        ('inline', 0.049)
        >>> missed_seconds(plan, sample, 10, Facts(cores=1, boot_seconds=0.1))
        0.0
    """
    warm = choose(sample, remaining, facts._replace(boot_seconds=0.0), n_jobs, refused)
    if warm.engine != PROCESSES:
        return 0.0
    gain = (plan.seconds[INLINE] or 0.0) - (warm.seconds[PROCESSES] or 0.0)
    return gain / FIRST_ITEM_DISCOUNT if sample.items == 1 else gain


def _surely_pay(sample: Sample, left: int, facts: Facts, jobs: int) -> bool:
    """Whether processes gain enough, also if the first item has said too much."""
    if sample.items == 1:
        share = 1 / FIRST_ITEM_DISCOUNT
        sample = sample._replace(seconds=sample.seconds * share, cpu_seconds=sample.cpu_seconds * share)
    work = left * sample.seconds / sample.items
    gain = work - _processes_seconds(sample, left, facts, jobs)
    return gain > max(LEAST_GAIN_SECONDS, LEAST_PROCESSES_GAIN_SHARE * work)


def _computes_beside_the_gil(sample: Sample, facts: Facts) -> bool:
    """Whether it was seen, and not just not looked at, that others are not kept from the GIL."""
    return not facts.gil or (sample.late_share is not None and sample.late_share <= HOLDING_SHARE)


def _threads_seconds(sample: Sample, left: int, jobs: int, facts: Facts, *, grows: bool) -> float:
    """Items that wait share the GIL for what they compute; those that compute beside it share the cores."""
    cost, cpu = sample.seconds / sample.items, sample.cpu_seconds / sample.items
    if cpu >= WAITING_SHARE * cost:
        return (
            facts.loading_seconds
            + facts.setup_seconds
            + _waves(left, jobs, jobs) * cost
            + left * THREAD_DISPATCH_SECONDS
        )
    waves = _waves(left, jobs, FIRST_WAITING if grows else jobs)
    return facts.setup_seconds + max(waves * cost, left * (cpu + THREAD_DISPATCH_SECONDS))


def _waves(left: int, jobs: int, first: int) -> int:
    """How often so many workers take an item each, where there are ``first`` of them at first, then twice as many.

    >>> _waves(300, 64, 64), _waves(300, 64, 16), _waves(3, 64, 16), _waves(0, 2, 2)
    (5, 6, 1, 0)
    """
    waves = 0
    while left > 0 and first < jobs:
        left, first, waves = left - first, min(2 * first, jobs), waves + 1
    return waves + -(-max(0, left) // jobs)


def _processes_seconds(sample: Sample, left: int, facts: Facts, jobs: int) -> float:
    """The caller pickles the function, and works alone until workers answer; then all do, but it needs a core too."""
    cost = sample.seconds / sample.items
    work, pickling = left * cost, facts.luggage_seconds / 2
    if work <= facts.answer_seconds:
        return work + pickling
    rest = left - facts.answer_seconds / cost
    transport = UNKNOWN_TRANSPORT_SECONDS if sample.transport_seconds is None else sample.transport_seconds
    dispatch = CHUNK_DISPATCH_SECONDS * max(1.0, rest * cost / 0.005)
    caller = rest * (CALLER_ITEM_SECONDS + transport / 2) + dispatch
    computing = sample.cpu_seconds / sample.items
    per_item = WORKER_ITEM_SECONDS + transport / 2
    workers = max(rest * (cost + per_item) / jobs, cost)
    cores = (caller + rest * (computing + per_item)) / facts.cores
    return pickling + facts.answer_seconds + max(caller, workers, cores)


def _measured(sample: Sample, waits: bool) -> str:
    cost = sample.seconds / sample.items
    share = min(1.0, sample.cpu_seconds / sample.seconds) if sample.seconds else 1.0
    text = f"an item takes {in_words(cost)} and computes for {share:.0%} of that"
    if waits:
        return text + ": it waits"
    if sample.late_share is None:
        return text
    held = "holds" if sample.late_share > HOLDING_SHARE else "does not hold"
    return text + f"; it {held} the GIL (others were kept from it for {sample.late_share:.0%} of the time)"


def _what_is_left(left: int, unknown: bool, work: float) -> str:
    if unknown:
        return f"nobody knows how many items are left; as many as before would take {in_words(work)}"
    return f"the {left} items that are left would take the caller {in_words(work)}"


def in_words(seconds: float) -> str:
    """Seconds as people write them.

    >>> in_words(0.00002), in_words(0.25), in_words(90)
    ('20 µs', '250 ms', '90 s')
    """
    for factor, unit in ((1.0, "s"), (1e3, "ms"), (1e6, "µs")):
        if seconds * factor >= 1 or unit == "µs":
            value = seconds * factor
            return f"{value:.0f} {unit}" if value >= 10 else f"{value:.2g} {unit}"
    raise AssertionError("unreachable")
