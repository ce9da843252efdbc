"""The stage ``deploy``: ask for a deployment and follow it to its end, telling each transition once."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlplatform.client import PlatformClient

Json = dict[str, Any]

PROMOTED = "promoted"
_POLL_SECONDS = 0.5
_OUTAGE_SECONDS = 120.0
_NUMBERS_EVERY = 5.0
_KINDS = {
    "start": "start",
    "warm": "warm up",
    "compare": "compare",
    "shadow": "shadow",
    "canary": "canary",
    "promote": "promote",
}


class FollowTimeout(Exception):
    """The time to wait is over; the deployment goes on by itself."""

    def __init__(self, deployment: Json) -> None:
        super().__init__(f"deployment {deployment['id']} is still {phase_words(deployment)}")
        self.deployment = deployment


@dataclass
class Narrator:
    """Turns successive states of a deployment into lines for people, each said once."""

    clock: Callable[[], float] = time.monotonic
    _phase: str | None = None
    _steps: dict[int, str] = field(default_factory=dict)
    _numbers_at: float = 0.0
    _numbers: str = ""

    def lines(self, deployment: Json) -> Iterator[str]:
        """Yield what is new since the last state."""
        for step in deployment.get("steps") or []:
            yield from self._step(step)
        if deployment["phase"] != self._phase:
            self._phase = deployment["phase"]
            if self._phase == "awaiting_approval":
                yield from approval_lines(deployment)
            elif self._phase in {"held", "rolling_back"}:
                reason = deployment.get("reason")
                yield phase_words(deployment) + (f": {reason}" if reason else "")

    def _step(self, step: Json) -> Iterator[str]:
        name, numbers = step_name(step), step_numbers(step)
        before, state = self._steps.get(step["index"]), step["state"]
        if state != before:
            self._steps[step["index"]] = state
            if state == "pending":
                return
            reason = step.get("reason")
            yield f"{name:<13} {state}" + (f"  {numbers}" if numbers and state != "running" else "")
            if reason:
                yield f"{'':<13} {reason}"
            self._numbers, self._numbers_at = numbers, self.clock()
        elif state in {"running", "held"} and numbers != self._numbers and self._due():
            self._numbers, self._numbers_at = numbers, self.clock()
            yield f"{name:<13} {numbers}"

    def _due(self) -> bool:
        return self.clock() - self._numbers_at >= _NUMBERS_EVERY


def follow(
    client: "PlatformClient",
    deployment: Json,
    *,
    say: Callable[[str], None],
    timeout: float | None,
    through_approval: bool = True,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Json:
    """Poll a deployment until it has ended, telling what happens; return its last state.

    The platform may be away for a while (it restarts, and the rollout goes on): only a longer outage ends the wait.
    ``through_approval=False`` returns as soon as a person has to decide.

    Raises:
        FollowTimeout: ``timeout`` seconds are over.
        PlatformUnreachable: the platform has been away for too long.
    """
    from mlplatform.client import PlatformUnreachable

    narrator = Narrator(clock)
    started = clock()
    away_since: float | None = None
    while True:
        for line in narrator.lines(deployment):
            say(line)
        if deployment["phase"] == "completed" or deployment.get("outcome"):
            return deployment
        if deployment["phase"] == "awaiting_approval" and not through_approval:
            return deployment
        if timeout is not None and clock() - started >= timeout:
            raise FollowTimeout(deployment)
        sleep(_POLL_SECONDS)
        try:
            deployment = client.deployment(deployment["id"])
        except PlatformUnreachable:
            if away_since is None:
                away_since = clock()
                say("the platform does not answer; the rollout goes on when it is back. Waiting ...")
            if clock() - away_since >= _OUTAGE_SECONDS:
                raise
        else:
            if away_since is not None:
                say("the platform is back")
            away_since = None


def ending(deployment: Json) -> str:
    """Return the sentence that a deployment ends with."""
    what = f"{deployment['model']} version {deployment['version']}"
    environment, reason = deployment["environment"], deployment.get("reason")
    why = f": {reason}" if reason else ""
    match deployment.get("outcome"):
        case "promoted":
            return f"{what} is live in {environment}" + (f" ({reason})" if reason else "")
        case "rolled_back":
            former = deployment.get("previousVersion")
            back = f"; version {former} has all traffic again" if former else ""
            return f"{what} was rolled back in {environment}{why}{back}"
        case "held":
            return f"{what} got too little traffic in {environment} to be judged{why}"
        case None:
            return f"{what} in {environment}: {phase_words(deployment)}{why}"
        case outcome:
            return f"the deployment of {what} to {environment} ended as {str(outcome).replace('_', ' ')}{why}"


def approval_lines(deployment: Json) -> Iterator[str]:
    """Yield who may approve, and the command to do it with."""
    waiting = [need for need in deployment.get("requirements") or [] if need.get("state") == "waiting"]
    what = f"{deployment['model']} version {deployment['version']} in {deployment['environment']}"
    yield f"{what} waits for approval"
    for need in waiting:
        yield f"  {need['requirement']}: {need['message']}"
    yield f'  approve it as somebody who may:  platform approve {deployment["id"]} --comment "..."'
    yield f'  or turn it down:                 platform approve {deployment["id"]} --reject --comment "..."'


def phase_words(deployment: Json) -> str:
    """Return the phase in plain words."""
    return str(deployment["phase"]).replace("_", " ")


def step_name(step: Json) -> str:
    """Return what a step is called, with its weight: ``canary 25 %``."""
    name = _KINDS.get(step["kind"], str(step["kind"]))
    return f"{name} {step['weight']} %" if step.get("weight") is not None and step["kind"] != "promote" else name


def step_numbers(step: Json) -> str:
    """Return a step's figures, new version first, the primary in parentheses."""
    figures = _days if step["kind"] == "compare" else _figures
    canary, primary = (figures(step.get(side)) for side in ("canary", "primary"))
    if not canary:
        return ""
    return canary + (f"  (primary: {primary})" if primary else "")


def _days(side: Json | None) -> str:
    """Return the figures of days that were scored for trial: rows stand for requests."""
    if not side or not side.get("requests"):
        return ""
    parts = [f"{side['requests']:,} rows"]
    if side.get("successRate") is not None:
        parts.append(f"accepted {side['successRate'] * 100:.2f} %")
    if side.get("latencyMs") is not None:
        parts.append(f"{side['latencyMs'] * 1000:.3g} µs a row")
    return ", ".join(parts)


def _figures(side: Json | None) -> str:
    if not side or not side.get("requests"):
        return ""
    parts = [f"{side['requests']:,} requests"]
    if side.get("successRate") is not None:
        parts.append(f"success {side['successRate'] * 100:.2f} %")
    if side.get("latencyMs") is not None:
        percentile = side.get("latencyPercentile")  # steps of before it was recorded have none
        parts.append(f"{f'p{percentile:g}' if percentile else 'latency'} {side['latencyMs']:.0f} ms")
    return ", ".join(parts)
