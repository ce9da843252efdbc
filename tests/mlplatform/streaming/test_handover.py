"""Moving shares while anything may die: a simulation of stream, groups, workers and whoever moves the shares.

The rules that are tested are the real ones (:mod:`mlplatform.streaming.handover`, :class:`Assignment`). The broker is a
model of what all three have in common: a log, groups that deliver each message until it is acknowledged, and for each group
the first place that is not done.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mlplatform.streaming.buckets import BUCKETS, bucket_of
from mlplatform.streaming.control import Control
from mlplatform.streaming.duty import Assignment, Decision
from mlplatform.streaming.handover import (
    Mirror,
    Progress,
    groups_to_ask,
    let_go,
    recovered,
    take_over,
    wanted_buckets,
    without_retired,
)
from mlplatform.streaming.position import BEGINNING, Position

VERSIONS = (1, 2, 3)
KEYS = [f"customer-{number}" for number in range(12)]
PARTS = ("0", "1")


@dataclass
class Group:
    """A consumer group: what it has delivered, what of that is not acknowledged, and what it has to deliver again."""

    begin: Position
    delivered: dict[str, int] = field(default_factory=dict)
    pending: dict[tuple[str, int], object] = field(default_factory=dict)
    again: list[tuple[str, int]] = field(default_factory=list)

    def next_of(self, part: str) -> int:
        return self.delivered.get(part, self.begin.at(part))

    def done(self, parts: dict[str, list[str]]) -> Position:
        """The first place that is not acknowledged."""
        first = {}
        for part in parts:
            waiting = [place for one, place in self.pending if one == part]
            first[part] = min([self.next_of(part), *waiting])
        return Position(first)


@dataclass
class Worker:
    version: int
    assignment: Assignment | None = None
    in_flight: list[tuple[Group, str, int]] = field(default_factory=list)
    alive: bool = True


class Sharing(RuleBasedStateMachine):
    """One model's stream of two parts, three versions with two workers each."""

    replicas = 2

    def __init__(self) -> None:
        super().__init__()
        self.parts: dict[str, list[str]] = {part: [] for part in PARTS}
        self.groups: dict[str, Group] = {}
        self.answers: list[tuple[str, int, int]] = []
        self.workers = [Worker(version) for version in VERSIONS for _ in range(self.replicas)]
        self.control = Control(environment="test", model="wine", revision=0)
        self.weights: dict[int, int] = {1: 100}
        self.mirror: Mirror = None
        self.progress: Progress | None = None
        self.disturbed = False

    # The world.

    @rule(keys=st.lists(st.sampled_from(KEYS), min_size=1, max_size=6))
    def publish(self, keys: list[str]) -> None:
        for key in keys:
            self.parts[PARTS[bucket_of(key.encode()) % 2]].append(key)

    @initialize()
    def first_version(self) -> None:
        self.move({1: 100}, None)

    # The workers.

    @rule(data=st.data(), steps=st.integers(1, 8))
    def fetch(self, data: st.DataObject, steps: int) -> None:
        worker = data.draw(st.sampled_from(self.workers))
        for _ in range(steps):
            self._fetch(worker)

    def _fetch(self, worker: Worker) -> bool:
        found = self._next(worker)
        if found is None or worker.assignment is None:
            return False
        group, part, place = found
        bucket = bucket_of(self.parts[part][place].encode())
        if worker.assignment.decide(bucket, part, place) is Decision.ANSWER:
            worker.in_flight.append((group, part, place))
        else:
            del group.pending[part, place]
        return True

    def _next(self, worker: Worker) -> tuple[Group, str, int] | None:
        if not worker.alive or worker.assignment is None or worker.assignment.group not in self.groups:
            return None
        group = self.groups[worker.assignment.group]
        if group.again:
            part, place = group.again.pop(0)
            group.pending[part, place] = worker
            return group, part, place
        for part, messages in self.parts.items():
            place = group.next_of(part)
            if place < len(messages):
                group.delivered[part] = place + 1
                group.pending[part, place] = worker
                return group, part, place
        return None

    @rule(data=st.data(), count=st.integers(1, 8))
    def answer(self, data: st.DataObject, count: int) -> None:
        worker = data.draw(st.sampled_from(self.workers))
        for _ in range(count):
            self._answer(worker)

    def _answer(self, worker: Worker, *, acknowledge: bool = True) -> bool:
        if not worker.alive or not worker.in_flight:
            return False
        group, part, place = worker.in_flight.pop(0)
        self.answers.append((part, place, worker.version))
        if acknowledge:
            group.pending.pop((part, place), None)
        return True

    @rule(data=st.data())
    def die_between_answer_and_acknowledgement(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(self.workers))
        self._answer(worker, acknowledge=False)
        self._die(worker)

    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        self._die(data.draw(st.sampled_from(self.workers)))

    def _die(self, worker: Worker) -> None:
        self.disturbed = True
        worker.alive, worker.assignment, worker.in_flight = False, None, []
        for group in self.groups.values():
            mine = [place for place, owner in group.pending.items() if owner is worker]
            group.again += sorted(mine)

    @rule(data=st.data())
    def come_back(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(self.workers))
        worker.alive = True

    @rule(data=st.data())
    def look_at_the_file(self, data: st.DataObject) -> None:
        """Workers look when they come to it, so they may act on an old file for any length of time."""
        self._look(data.draw(st.sampled_from(self.workers)))

    def _look(self, worker: Worker) -> None:
        if not worker.alive:
            return
        worker.assignment = Assignment.of(self.control, worker.version)
        if worker.assignment is not None and worker.assignment.group not in self.groups:
            self.groups[worker.assignment.group] = Group(worker.assignment.start)

    # Whoever moves the shares; it, too, may be killed between any two of its steps.

    @rule(
        weights=st.lists(st.integers(0, 20), min_size=3, max_size=3).filter(any),
        mirror=st.one_of(st.none(), st.tuples(st.sampled_from(VERSIONS), st.integers(1, 100))),
    )
    def want(self, weights: list[int], mirror: Mirror) -> None:
        shares = [weight * 100 // sum(weights) for weight in weights]
        shares[shares.index(max(shares))] += 100 - sum(shares)
        self.weights = {version: share for version, share in zip(VERSIONS, shares, strict=True) if share}
        self.mirror, self.progress = mirror, None

    @rule()
    def ask_the_broker(self) -> None:
        known = {name: group.done(self.parts) for name, group in self.groups.items()}
        asked = {name: known[name] for name in groups_to_ask(self.control) if name in known}
        head = Position({part: len(messages) for part, messages in self.parts.items()})
        self.progress = Progress(head, asked)

    @precondition(lambda self: self.progress is not None)
    @rule()
    def gainers_take_over(self) -> None:
        assert self.progress is not None
        self.control = take_over(self.control, self.weights, self.mirror, self.progress, BEGINNING)
        self.progress = None

    @rule()
    def losers_let_go(self) -> None:
        if set(wanted_buckets(self.control, self.weights)) - set(self.control.versions):
            return
        wanted = wanted_buckets(self.control, self.weights)
        if all(wanted[version] <= self.control.versions[version].buckets().keys() for version in wanted):
            self.control = let_go(self.control, self.weights, self.mirror)

    @rule()
    def forget_retired_groups(self) -> None:
        for name in self.control.retired:
            self.groups.pop(name, None)
        self.control = without_retired(self.control, set(self.control.retired))

    @rule()
    def lose_the_file(self) -> None:
        self.disturbed = True
        known = {name: group.done(self.parts) for name, group in self.groups.items()}
        head = Position({part: len(messages) for part, messages in self.parts.items()})
        control, begin = recovered("test", "wine", Progress(head, known))
        self.control = take_over(control, {1: 100}, None, Progress(head, known), begin or BEGINNING)
        self.weights, self.mirror, self.progress = {1: 100}, None, None

    def move(self, weights: dict[int, int], mirror: Mirror) -> None:
        self.weights, self.mirror = weights, mirror
        self.ask_the_broker()
        self.gainers_take_over()
        self.losers_let_go()

    # What must hold.

    @invariant()
    def every_bucket_is_somebodys(self) -> None:
        if self.control.revision:
            owned = Counter(bucket for duty in self.control.versions.values() for bucket in duty.buckets())
            assert len(owned) == BUCKETS

    @invariant()
    def answers_of_a_key_come_in_order(self) -> None:
        """With one worker a version, nothing killed, and duplicates taken out."""
        if self.replicas > 1 or self.disturbed:
            return
        seen: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for part, place, _ in self.answers:
            if (part, place) not in seen[self.parts[part][place]]:
                seen[self.parts[part][place]].append((part, place))
        for places in seen.values():
            assert places == sorted(places)

    def teardown(self) -> None:
        """Let everything that is to happen happen: then each message has been answered."""
        self.move(self.weights, self.mirror)
        for worker in self.workers:
            worker.alive = True
            self._look(worker)
        busy = True
        while busy:
            # A list: everybody has a turn in each round.
            busy = any([self._fetch(worker) or self._answer(worker) for worker in self.workers])  # noqa: C419
        answered = {(part, place) for part, place, _ in self.answers}
        everything = {(part, place) for part, messages in self.parts.items() for place in range(len(messages))}
        assert answered == everything, f"never answered: {sorted(everything - answered)}"
        self.answers_of_a_key_come_in_order()


class SharingInOrder(Sharing):
    """The same with one worker a version and none of the rules that break the order."""

    replicas = 1

    @rule()
    def die(self) -> None:
        pass

    @rule()
    def die_between_answer_and_acknowledgement(self) -> None:
        pass

    @rule()
    def lose_the_file(self) -> None:
        pass


_LONG = settings(max_examples=100, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck))
TestSharing = pytest.mark.slow(Sharing.TestCase)
TestSharing.settings = _LONG
TestSharingInOrder = pytest.mark.slow(SharingInOrder.TestCase)
TestSharingInOrder.settings = _LONG
