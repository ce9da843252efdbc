"""Checks of what was rolled out in the last quarter."""

from datetime import timedelta

from backend.compliance.checks.base import Check, Deviation, Result, View
from backend.deployments.models import Outcome
from backend.deployments.views import Past

ROLLBACK_IN_TIME = timedelta(minutes=5)
BREAK_GLASS_SETTLED = timedelta(days=7)
"""Time after which a version that was let in by broken glass has to meet the policy, or be gone."""


def _promoted(view: View) -> list[Past]:
    return [one for one in view.past if one.outcome == Outcome.PROMOTED]


def _deviation(one: Past, message: str) -> Deviation:
    return Deviation(
        f"model:{one.model}/versions/{one.version}", f"v{one.version} of {one.model}: {message}", one.id, one.model
    )


def _approved(view: View) -> Result:
    environments = view.services.settings.environments
    demanded = [
        one
        for one in _promoted(view)
        if one.environment in environments and environments[one.environment].approval.required
    ]
    deviations = tuple(
        _deviation(
            one,
            f"went to {one.environment} by broken glass, without approval" if one.broke_glass else "has no approval",
        )
        for one in demanded
        if not one.approved_by
    )
    return Result(len(demanded), deviations, "nothing went where approval is demanded in the last quarter")


def _segregated(view: View) -> Result:
    approved = [one for one in view.past if one.approved_by]
    people, deviations = view.services.access.people, []
    for one in approved:
        row = view.services.registry.get_version(view.session, one.model, one.version)
        made = people.behind(row.created_by, row.lineage.get("onBehalfOf"))
        own = (made | {people.person(one.requested_by)}) & {people.person(each) for each in one.approved_by}
        deviations += [_deviation(one, f"{each} approved what they made or asked for") for each in sorted(own)]
    return Result(len(approved), tuple(deviations), "nobody approved anything in the last quarter")


def _judged(view: View) -> Result:
    promoted = [one for one in _promoted(view) if not one.first]
    deviations = tuple(
        _deviation(one, f"{one.hurried_by} had it promoted before its analysis was over")
        if one.hurried_by
        else _deviation(one, "was promoted without being compared with the version before")
        for one in promoted
        if one.hurried_by or not one.judged
    )
    return Result(len(promoted), deviations, "nothing replaced another version in the last quarter")


def _in_time(view: View) -> Result:
    back = [one for one in view.past if one.outcome == Outcome.ROLLED_BACK and one.breached_at is not None]
    late = tuple(
        _deviation(one, f"was taken back {int((one.finished_at - one.breached_at).total_seconds())} s after the breach")
        for one in back
        if one.breached_at is not None and one.finished_at - one.breached_at > ROLLBACK_IN_TIME
    )
    return Result(len(back), late, "nothing was rolled back in the last quarter")


def _explained(view: View) -> Result:
    broken = [one for one in view.past if one.broke_glass]
    live = {(one.environment, one.version.model, one.version.version): one for one in view.live}
    deviations = []
    for one in broken:
        standing = live.get((one.environment, one.model, one.version))
        if standing is None or one.finished_at + BREAK_GLASS_SETTLED > view.now:
            continue
        if unmet := standing.verdict.unmet:
            names = ", ".join(each.requirement for each in unmet)
            deviations.append(_deviation(one, f"went to {one.environment} by broken glass, and still lacks {names}"))
    return Result(len(broken), tuple(deviations), "nobody broke the glass in the last quarter")


DEPLOYMENT_CHECKS = (
    Check("deployments.approved", "Where approval is demanded, somebody approved", _approved),
    Check("deployments.segregated", "Nobody approved what they made or asked for", _segregated),
    Check("rollouts.judged", "Every version that replaced another was compared with it under real requests", _judged),
    Check("rollbacks.in-time", "Bad versions were taken back within five minutes of the breach", _in_time),
    Check("break-glass.explained", "What broken glass let in meets the policy a week later, or is gone", _explained),
)
