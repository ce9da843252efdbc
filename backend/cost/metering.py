"""Metering at the source: the processes of model servers and stream workers, their requests, batch runs, training, storage.

What a process has used is a counter that the system keeps. A reading is written down with the counter it was read at, in
one transaction: however often the platform dies, nothing is counted twice, and what a process used meanwhile is in the next
reading.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil  # type: ignore[import-untyped]  # it has no stubs of its own
from sqlalchemy.orm import Session

from backend.audit.service import PLATFORM
from backend.core.errors import PlatformError
from backend.cost import repository
from backend.cost.models import Meter
from backend.cost.periods import DAY, start_of
from backend.cost.resources import Activity, Resource
from backend.cost.usage import LONGEST, Usage
from backend.deployments.targets.base import VersionKey
from mlplatform.spec.quantities import cpu_cores, memory_bytes

if TYPE_CHECKING:
    from datetime import date

    from backend.batch.models import BatchRun
    from backend.core.container import Services
    from backend.registry.models import VersionRow

_GIB = Decimal(2**30)
_ZERO = Decimal(0)
_FINISHED = "finished"
_AGAIN = timedelta(minutes=10)
"""How far before the last look runs and versions are looked for again: those that were being written then."""
_AT_ONCE = 5000
_RECORDS_AT_ONCE = 500


@dataclass(frozen=True)
class Reading:
    """What a process and its children have used: CPU since it started, memory now."""

    key: VersionKey
    id: str
    started_at: datetime
    cpu_seconds: Decimal
    memory_gib: Decimal


@dataclass(frozen=True)
class Asked:
    """What ``model.yaml`` asks for one replica."""

    cores: Decimal
    memory_gib: Decimal


class Metering:
    """See the module's docstring. One thread at a time."""

    def __init__(self, services: "Services") -> None:
        self._services = services
        self._asked: dict[tuple[str, int], Asked] = {}
        self._counted: set[str] = set()

    def sample(self) -> int:
        """Take one reading of everything that runs or has ended; return how many records it made."""
        now = self._services.clock.now()
        readings = list(self._processes())
        requests = self._requests()
        with self._services.database.write() as session:
            records = [
                *self._used(session, now, readings),
                *self._answered(session, now, requests),
                *self._finished(session, now),
            ]
            return self._services.cost.usage.take(session, PLATFORM, records).accepted

    def measure_storage(self, day: "date") -> int:
        """Write down how much room the artefacts of each version took on a day that is over."""
        start, end = start_of(day), start_of(day + DAY)
        with self._services.database.read() as session:
            stored = self._services.registry.stored_before(session, end)
        records = []
        for model, version, folder, since in stored:
            begin = max(since, start)
            gib = Decimal(_size(folder)) / _GIB
            records.append(
                Usage(
                    id=f"storage/{model}/v{version}/{day}",
                    model=model,
                    version=version,
                    resource=Resource.STORAGE,
                    quantity=gib * Decimal((end - begin).total_seconds()),
                    started_at=begin,
                    ended_at=end,
                    activity=Activity.STORAGE,
                )
            )
        taken = 0
        # Some at a time: nobody else writes meanwhile, and what a killed process took counts once.
        for first in range(0, len(records), _RECORDS_AT_ONCE):
            with self._services.database.write() as session:
                some = records[first : first + _RECORDS_AT_ONCE]
                taken += self._services.cost.usage.take(session, PLATFORM, some).accepted
        return taken

    def _processes(self) -> Iterator[Reading]:
        try:
            replicas = [
                one for one in self._services.engine.target.replicas() if one.pid is not None and one.state != "stopped"
            ]
        except PlatformError:
            return  # whoever keeps them does not answer; the counters go on
        if not replicas:
            return
        table = _Processes()
        for replica in replicas:
            if replica.pid is not None and (tree := table.tree(replica.pid)):
                root = tree[0]
                yield Reading(
                    key=replica.key,
                    id=f"process/{replica.key}/{replica.replica}/{replica.pid}@{root['create_time']:.2f}",
                    started_at=datetime.fromtimestamp(root["create_time"], UTC),
                    cpu_seconds=sum((_cpu(one["cpu_times"]) for one in tree), _ZERO),
                    memory_gib=Decimal(sum(one["memory_info"].rss for one in tree)) / _GIB,
                )

    def _requests(self) -> Mapping[VersionKey, int]:
        try:
            return {key: sample.requests for key, sample in self._services.engine.target.sample().items()}
        except PlatformError:
            return {}

    def _used(self, session: Session, now: datetime, readings: Sequence[Reading]) -> Iterator[Usage]:
        known = repository.meters(session, [one.id for one in readings])
        for one in readings:
            meter = known.get(one.id)
            begin = meter.read_at if meter is not None else max(one.started_at, now - DAY)
            seconds = Decimal(str((now - begin).total_seconds()))
            cpu = one.cpu_seconds - (meter.value if meter is not None else _ZERO)
            if seconds <= 0 or cpu < 0:
                continue  # the clock was put back
            _remember(session, meter, one.id, one.cpu_seconds, now)
            asked = self._asked_by(session, one.key.model, one.key.version)
            memory = one.memory_gib * seconds
            used = {
                Resource.CPU: cpu,
                Resource.CPU_UNUSED: max(asked.cores * seconds - cpu, _ZERO),
                Resource.MEMORY: memory,
                Resource.MEMORY_UNUSED: max(asked.memory_gib * seconds - memory, _ZERO),
            }
            yield from _serving(one.key, one.id, used, begin, now)

    def _answered(self, session: Session, now: datetime, requests: Mapping[VersionKey, int]) -> Iterator[Usage]:
        ids = {key: f"requests/{key}" for key in requests}
        known = repository.meters(session, list(ids.values()))
        for key, id in ids.items():
            meter, value = known.get(id), Decimal(requests[key])
            before = meter.value if meter is not None else _ZERO
            first, grown = id not in self._counted, value - before
            self._counted.add(id)
            if grown == 0 and meter is not None:
                continue
            begin = meter.read_at if meter is not None else now - self._services.settings.cost.sample_interval
            begin = max(begin, now - DAY)
            _remember(session, meter, id, value, now)
            if grown < 0 and first:
                # This process knows less of the proxy than the one before it did: counting all again would be too much.
                continue
            answered = grown if grown > 0 else value
            yield from _serving(key, id, {Resource.REQUESTS: answered}, min(begin, now), now)

    def _finished(self, session: Session, now: datetime) -> Iterator[Usage]:
        """What has ended since the last look; some of it is looked at again, which does no harm."""
        meter = repository.meter(session, _FINISHED)
        since = max((meter.read_at if meter is not None else now) - _AGAIN, now - self._services.settings.cost.lateness)
        _remember(session, meter, _FINISHED, _ZERO, now)
        for run in self._services.batch.finished_since(session, since, _AT_ONCE):
            yield from self._batch(session, run)
        for version in self._services.registry.versions_since(session, since, _AT_ONCE):
            yield from self._training(version)

    def _batch(self, session: Session, run: "BatchRun") -> Iterator[Usage]:
        if run.started_at is None or run.finished_at is None or run.finished_at < run.started_at:
            return
        begin = max(run.started_at, run.finished_at - LONGEST)
        seconds = Decimal(str((run.finished_at - begin).total_seconds()))
        asked = self._asked_by(session, run.model, run.version)
        cpu = min(Decimal(str(run.model_seconds or 0)), seconds * max(asked.cores, Decimal(1)))
        used = {
            Resource.CPU: cpu,
            Resource.CPU_UNUSED: max(asked.cores * seconds - cpu, _ZERO),
            Resource.MEMORY: asked.memory_gib * seconds,
            Resource.ROWS: Decimal(run.rows or 0),
        }
        key = VersionKey(run.environment, run.model, run.version)
        yield from _serving(key, f"run/{run.id}", used, begin, run.finished_at, Activity.BATCH)

    def _training(self, version: "VersionRow") -> Iterator[Usage]:
        try:
            begin, end = (
                datetime.fromisoformat(str(version.lineage[name])).astimezone(UTC)
                for name in ("startedAt", "finishedAt")
            )
        except (KeyError, ValueError):
            return
        length = end - begin
        if not timedelta(0) <= length <= LONGEST:
            return
        settings = self._services.settings.cost
        if not version.created_at - settings.lateness <= end <= version.created_at + settings.clock_skew:
            # The clock of whoever trained it is off, or it was long ago: it counts when it was registered.
            begin, end = version.created_at - length, version.created_at
        yield Usage(
            id=f"training/{version.model}/v{version.version}",
            model=version.model,
            version=version.version,
            resource=Resource.TRAINING,
            quantity=Decimal(str(length.total_seconds())),
            started_at=max(begin, end - settings.lateness),
            ended_at=end,
            activity=Activity.TRAINING,
        )

    def _asked_by(self, session: Session, model: str, version: int) -> Asked:
        if (model, version) not in self._asked:
            spec = self._services.registry.get_version(session, model, version).spec
            resources: Mapping[str, Any] = {"cpu": "1", "memory": "1Gi", **spec.get("serving", {}).get("resources", {})}
            self._asked[model, version] = Asked(
                Decimal(str(cpu_cores(str(resources["cpu"])))), Decimal(memory_bytes(resources["memory"])) / _GIB
            )
        return self._asked[model, version]


class _Processes:
    """All processes of this machine, read once."""

    def __init__(self) -> None:
        self._by_pid: dict[int, dict[str, Any]] = {}
        self._children: dict[int, list[int]] = {}
        for process in psutil.process_iter(["pid", "ppid", "cpu_times", "memory_info", "create_time"]):
            info: dict[str, Any] = process.info
            if None not in info.values():
                self._by_pid[info["pid"]] = info
                self._children.setdefault(info["ppid"], []).append(info["pid"])

    def tree(self, pid: int) -> list[dict[str, Any]]:
        """Return a process and all that it has started, itself first."""
        if pid not in self._by_pid:
            return []
        below = [one for child in self._children.get(pid, ()) for one in self.tree(child)]
        return [self._by_pid[pid], *below]


def _cpu(times: Any) -> Decimal:
    # With those of children that have ended, which nobody could ask any more.
    seconds = times.user + times.system + times.children_user + times.children_system
    return Decimal(str(round(seconds, 6)))


def _remember(session: Session, meter: Meter | None, id: str, value: Decimal, now: datetime) -> None:
    if meter is None:
        session.add(Meter(id=id, value=value, read_at=now))
    else:
        meter.value, meter.read_at = value, now


def _serving(
    key: VersionKey,
    id: str,
    used: Mapping[Resource, Decimal],
    begin: datetime,
    end: datetime,
    activity: Activity = Activity.SERVING,
) -> Iterator[Usage]:
    for resource, quantity in used.items():
        if quantity > 0:
            yield Usage(
                id=f"{id}/{resource}/{end.timestamp():.3f}",
                model=key.model,
                version=key.version,
                environment=key.environment,
                resource=resource,
                quantity=quantity,
                started_at=begin,
                ended_at=end,
                activity=activity,
            )


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue  # it is being taken out
    return total
