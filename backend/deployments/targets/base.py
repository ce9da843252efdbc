"""What the rollout engine asks of a place where models run.

A target starts and stops model servers, moves traffic between versions and tells what it saw of that
traffic. It has no opinion about rollouts: it is told the whole desired state and makes it so. Every method
may be called again with the same arguments, from a process that knows nothing of the call before.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Literal, Protocol

from backend.core.errors import Unavailable
from backend.deployments.targets.log_filter import EVERYTHING, LogFilter
from mlplatform.spec.model import ModelSpec

ReplicaPhase = Literal["starting", "ready", "failed", "stopped"]


class TargetUnavailable(Unavailable):
    """The target (its proxy or its process keeper) does not answer or did not accept what it was told."""

    slug: ClassVar[str] = "target-unavailable"
    title: ClassVar[str] = "Serving target unavailable"


class SomeLate(Exception):
    """The traffic of some models could not be made what it should be yet; that of all others was.

    ``reasons`` says why, by environment and model.
    """

    def __init__(self, reasons: Mapping[tuple[str, str], str]) -> None:
        super().__init__("; ".join(reasons.values()))
        self.reasons = dict(reasons)


@dataclass(frozen=True, order=True)
class VersionKey:
    """One version of a model in one environment: what is started, stopped and measured."""

    environment: str
    model: str
    version: int

    def __str__(self) -> str:
        return f"{self.environment}/{self.model}/v{self.version}"


@dataclass(frozen=True)
class ReplicaSetSpec:
    """What to run for a version. ``artefact_dir`` holds ``model/`` and ``environment/``."""

    key: VersionKey
    digest: str
    artefact_dir: Path
    spec: ModelSpec
    replicas: int


@dataclass(frozen=True)
class ReplicaState:
    """One model server as it is now; ``message`` says why when it failed (exit status, last log line)."""

    key: VersionKey
    replica: int
    state: ReplicaPhase
    port: int | None
    pid: int | None
    message: str | None


@dataclass(frozen=True)
class ExperimentRoute:
    """The part of an experiment in a model's traffic.

    With ``key_header`` it is an A/B experiment: a request that has the header goes to one version of ``weights`` by a hash of
    its value, always the same one, and a request without goes to the other one than ``challenger``. Without it is a shadow
    run: ``percent`` of the requests are mirrored to the challenger. Servers are told the experiment's ``id`` with each such
    request.
    """

    id: str
    challenger: int
    percent: int
    key_header: str | None = None


@dataclass(frozen=True)
class Route:
    """The desired traffic of one model in one environment.

    ``weights`` are (version, percent) pairs that sum to 100. ``mirror`` is a (version, percent) whose
    answers are thrown away. ``warm`` are further versions that are up: they get no traffic of their own but
    can be pinned with the header ``x-model-version``, and stand in when everything else is dead.
    """

    environment: str
    model: str
    weights: tuple[tuple[int, int], ...]
    mirror: tuple[int, int] | None
    warm: tuple[int, ...]
    request_timeout: timedelta
    experiment: ExperimentRoute | None = None


@dataclass(frozen=True)
class Sample:
    """What a version has been seen to answer since the proxy has known it; all figures only grow.

    ``errors`` are requests that ended with a 5xx, a timeout or a reset, and those that it failed to answer but
    another version could be asked instead. ``latency`` is a histogram of (upper bound in milliseconds, cumulative
    count); its last bound is infinity. When the proxy or the reader restarts the figures may start again from
    zero: a reader takes deltas and treats a drop as such a restart.
    """

    key: VersionKey
    requests: int
    errors: int
    latency: tuple[tuple[float, int], ...]
    lag: float | None = None
    """For how many seconds the oldest message that the version has to answer has been waiting; ``None`` without a stream."""


@dataclass(frozen=True)
class WarmResult:
    """Whether every replica of a version gave acceptable answers to trial requests, or a batch version to a day."""

    ok: bool
    requests: int
    message: str


class Target(Protocol):
    """A place where model versions run."""

    def start(self, spec: ReplicaSetSpec) -> None:
        """Have the version running; return at once. What goes wrong later shows as state ``failed``."""
        ...

    def stop(self, key: VersionKey) -> None:
        """Drain and stop all replicas of the version; nothing happens when there are none."""
        ...

    def replicas(self, key: VersionKey | None = None) -> list[ReplicaState]:
        """Return all replicas (of one version) as they are now; cheap enough to be polled."""
        ...

    def apply(self, routes: Sequence[Route]) -> None:
        """Make this the whole traffic and return when the proxy has taken it over.

        A version without a ready replica gets no traffic while another version of its route has one.

        Raises:
            TargetUnavailable: the proxy did not take it over in time.
            SomeLate: it is so for all models but these.
        """
        ...

    def sample(self) -> dict[VersionKey, Sample]:
        """Return the figures of all versions that the proxy knows."""
        ...

    def warm(self, key: VersionKey, spec: ModelSpec) -> WarmResult | None:
        """Send trial requests to each replica directly and check the answers against the output schema.

        ``None`` says that this takes longer: it goes on, and is to be asked for again.
        """
        ...

    def logs(
        self, keys: Sequence[VersionKey], tail: int, follow: bool, wanted: LogFilter = EVERYTHING
    ) -> Iterator[str]:
        """Yield the last ``tail`` wanted lines of each replica of these versions of one model by their time, then follow.

        Each line is ``<version>/<replica> <line>``. While it follows and nothing is new an empty string comes now
        and then, so that whoever passes the lines on can notice that their reader has gone; it is no line.
        """
        ...
