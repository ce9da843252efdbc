"""Which steps a rollout has, and what is said when they are done."""

from backend.deployments import words
from backend.deployments.models import Deployment, Kind, StepKind, Traffic
from mlplatform.spec.model import ModelSpec, ModelType


def steps_of(deployment: Deployment, spec: ModelSpec, *, has_primary: bool) -> list[tuple[str, int | None]]:
    """Return kinds and weights of a rollout's steps. Without a primary there is nobody to protect or compare with."""
    if deployment.kind == Kind.ROLLBACK:
        return [(StepKind.START, None), (StepKind.PROMOTE, 100)]
    begin: list[tuple[str, int | None]] = [(StepKind.START, None), (StepKind.WARM, None)]
    if not has_primary:
        return [*begin, (StepKind.PROMOTE, 100)]
    if spec.type is ModelType.BATCH:
        return [*begin, (StepKind.COMPARE, None), (StepKind.PROMOTE, 100)]
    shadow = spec.rollout.shadow
    if shadow.duration:
        begin.append((StepKind.SHADOW, shadow.percent))
    return [*begin, *((StepKind.CANARY, weight) for weight in spec.rollout.steps), (StepKind.PROMOTE, 100)]


def promoted(deployment: Deployment, former: Traffic | None, spec: ModelSpec) -> str:
    """Say that a version is live, and what follows from that."""
    skipped = ""
    if deployment.promote_requested_by:
        skipped = f" by {deployment.promote_requested_by}: {deployment.promote_reason}"
    if former is None:
        return f"v{deployment.version} is live; it is the first version here{skipped}"
    if spec.type is ModelType.BATCH:
        return (
            f"v{deployment.version} is live{skipped}; scheduled runs use it from now on, instead of v{former.version}"
        )
    warm = words.seconds(spec.rollout.keep_warm.total_seconds())
    return f"v{deployment.version} is live{skipped}; v{former.version} stays warm for {warm}"
