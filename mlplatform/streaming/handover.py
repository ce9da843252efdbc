"""Moving shares of a stream between versions: which buckets go where, and from which position on. Pure.

A change is made in two steps, and the file that each of them writes may be acted on at any time, in any order and any number
of times:

:func:`take_over`
    Whoever gains buckets begins a new generation at the earliest position at which one of its buckets, old or new, may
    have something unanswered. Nobody loses anything yet.
:func:`let_go`
    The others let go of what is not theirs any more.

Why nothing is lost, and in which order answers come, is argued in the decision record on consumer shares.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from mlplatform.streaming.buckets import BUCKETS
from mlplatform.streaming.control import Control, Duty, generation_of, group_prefix, shares_of
from mlplatform.streaming.position import BEGINNING, Position, earliest, latest

Weights = Mapping[int, int]
"""Percent by version; the sum is 100."""
Mirror = tuple[int, int] | None
"""A version, and the percent of messages that it scores without answering."""


@dataclass(frozen=True)
class Progress:
    """What the broker says: where the next message will be, and for each group the first place that is not done.

    A group that the broker does not know is missing: it has not begun.
    """

    head: Position
    done: Mapping[str, Position]


def wanted_buckets(control: Control, weights: Weights) -> dict[int, frozenset[int]]:
    """Share the buckets out by the weights, such that as few as possible change hands.

    Raises:
        ValueError: the weights don't sum to 100.
    """
    if sum(weights.values()) != BUCKETS or min(weights.values(), default=0) < 0:
        raise ValueError(f"the weights don't sum to {BUCKETS}: {dict(weights)}")
    present = {version: sorted(duty.buckets()) for version, duty in control.versions.items()}
    chosen: dict[int, set[int]] = {version: set() for version in weights}
    given: set[int] = set()
    # Where two have the same buckets a change was interrupted: the one with fewer is the one that was to have them.
    for version in sorted(weights, key=lambda one: (len(present.get(one, ())), one)):
        keeps = [bucket for bucket in present.get(version, ()) if bucket not in given][: weights[version]]
        chosen[version].update(keeps)
        given.update(keeps)
    free = iter(bucket for bucket in range(BUCKETS) if bucket not in given)
    for version in sorted(weights):
        while len(chosen[version]) < weights[version]:
            chosen[version].add(next(free))
    return {version: frozenset(buckets) for version, buckets in chosen.items() if buckets}


def gaining(control: Control, weights: Weights, mirror: Mirror) -> set[int]:
    """Return the versions that have to begin a new generation: those that gain buckets or begin to mirror."""
    gains = {
        version
        for version, buckets in wanted_buckets(control, weights).items()
        if version not in control.versions or not buckets <= control.versions[version].buckets().keys()
    }
    if mirror is not None and mirror[1] and mirror[0] not in control.versions:
        gains.add(mirror[0])
    return gains


def take_over(control: Control, weights: Weights, mirror: Mirror, progress: Progress, begin: Position) -> Control:
    """Return the file in which whoever gains buckets has them; the others keep theirs.

    ``begin`` is where buckets begin that nobody has had before.
    """
    gains = gaining(control, weights, mirror)
    if not gains:
        return control
    wanted = wanted_buckets(control, weights)
    reached = _reached(control, progress)
    versions = dict(control.versions)
    retired = list(control.retired)
    for version in sorted(gains):
        before = control.versions.get(version)
        mine = dict.fromkeys(wanted.get(version, frozenset()) | (before.buckets().keys() if before else set()))
        since = {bucket: reached.get(bucket, begin) for bucket in mine}
        versions[version] = Duty(
            generation=control.revision + 1,  # never used before, and never again
            start=(earliest(since.values()) if since else progress.head).to_json(),
            answers=shares_of(since),
            mirror=mirror[1] if mirror is not None and mirror[0] == version else 0,
        )
        if before is not None:
            retired.append(control.group(version))
    return control.model_copy(
        update={"revision": control.revision + 1, "versions": versions, "retired": sorted({*retired})}
    )


def let_go(control: Control, weights: Weights, mirror: Mirror) -> Control:
    """Return the file in which nobody has what is not theirs; a version that has nothing left is no longer in it."""
    wanted = wanted_buckets(control, weights)
    versions: dict[int, Duty] = {}
    retired = list(control.retired)
    for version, duty in control.versions.items():
        kept = {bucket: since for bucket, since in duty.buckets().items() if bucket in wanted.get(version, ())}
        mirrors = mirror[1] if mirror is not None and mirror[0] == version else 0
        if kept or mirrors:
            versions[version] = duty.model_copy(update={"answers": shares_of(kept), "mirror": mirrors})
        else:
            retired.append(control.group(version))
    if versions == control.versions:
        return control
    return control.model_copy(
        update={"revision": control.revision + 1, "versions": versions, "retired": sorted({*retired})}
    )


def without_retired(control: Control, gone: set[str]) -> Control:
    """Return the file without those retired groups that the broker does not know any more."""
    left = [group for group in control.retired if group not in gone]
    if left == control.retired:
        return control
    return control.model_copy(update={"revision": control.revision + 1, "retired": left})


def recovered(environment: str, model: str, progress: Progress) -> tuple[Control, Position | None]:
    """Return a file to begin with when there is none, and where to begin with it if the broker knows groups of the model.

    Whatever was unanswered when the file was lost lies behind the least advanced of the groups.
    """
    known = progress.done
    prefix = group_prefix(environment, model)
    generations = [parsed[1] for group in known if (parsed := generation_of(group, prefix))]
    revision = max(generations, default=0)
    control = Control(environment=environment, model=model, revision=revision, retired=sorted(known))
    return control, earliest(known.values()) if known else None


def from_the_beginning(control: Control) -> Control:
    """Return the file without its positions: the stream was made anew, and they were about the old one."""
    versions = {
        version: duty.model_copy(
            update={"start": {}, "answers": [share.model_copy(update={"since": {}}) for share in duty.answers]}
        )
        for version, duty in control.versions.items()
    }
    if versions == control.versions:
        return control
    return control.model_copy(update={"revision": control.revision + 1, "versions": versions})


def groups_to_ask(control: Control) -> list[str]:
    """Return the groups whose progress :func:`take_over` needs."""
    return sorted(control.group(version) for version in control.versions)


def _reached(control: Control, progress: Progress) -> dict[int, Position]:
    """Return for each bucket that somebody has how far it is certainly answered.

    Two versions may both say something true about a bucket while it changes hands; the larger of two true statements counts.
    """
    reached: dict[int, Position] = {}
    for version, duty in control.versions.items():
        done = progress.done.get(control.group(version), duty.begins())
        for bucket, since in duty.buckets().items():
            reached[bucket] = latest([reached.get(bucket, BEGINNING), since, done])
    return reached
