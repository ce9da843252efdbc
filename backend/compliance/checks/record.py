"""Checks that ask the audit log whether what has to happen again and again did happen."""

from datetime import timedelta
from typing import Any

from backend.access.duties import SeparationOfDuties
from backend.compliance.checks.base import WINDOW, Check, Deviation, Result, View

REVIEWED_WITHIN = timedelta(days=100)
"""A quarter, and the time that a review may take."""
RETAINED_WITHIN = timedelta(days=2)
PUBLISHED_LATE = 3
"""How many times its interval a publication may be late."""


def _newest(view: View, type: str, within: timedelta) -> dict[str, Any] | None:
    found = None
    for event in view.services.audit.events(view.session, type, view.now - within, view.now):
        found = event
    return found


def _reviewed(view: View) -> Result:
    settings = view.services.settings.access.reviews
    if _newest(view, "ml-platform.access.review.closed", REVIEWED_WITHIN):
        return Result(1, ())
    if not settings.enabled:
        return Result(0, (), "access reviews are switched off, and none was closed in the last quarter")
    if view.running_for < REVIEWED_WITHIN:
        return Result(0, (), "the first quarter is not over")
    return Result(1, (Deviation("access", f"no access review was closed in the last {REVIEWED_WITHIN.days} days"),))


def _separated(view: View) -> Result:
    report = SeparationOfDuties(view.services, view.services.access).report(view.session, view.now - WINDOW, view.now)
    found = tuple(Deviation(one.subject, f"{one.kind}: {one.message}") for one in report.violations)
    return Result(sum(report.checked.values()), found, "nothing took two in the last quarter")


def _retained(view: View) -> Result:
    newest = _newest(view, "ml-platform.privacy.retention.finished", RETAINED_WITHIN)
    if newest is None:
        if view.running_for < RETAINED_WITHIN:
            return Result(0, (), "the first retention run is not due yet")
        days = RETAINED_WITHIN.days
        return Result(
            1, (Deviation("retention", f"nothing was looked through for what is over in the last {days} days"),)
        )
    outcome = str(newest["data"].get("outcome"))
    failed = () if outcome == "done" else (Deviation(newest["subject"], f"the newest retention run ended {outcome}"),)
    return Result(1, failed)


def _erased(view: View) -> Result:
    overdue, all_open = view.services.privacy.requests.overdue(view.session, view.now)
    late = tuple(Deviation(f"subject-request:{id}", f"the request was due {due:%Y-%m-%d}", id) for id, due in overdue)
    return Result(all_open, late, "no data-subject request is open")


def _published(view: View) -> Result:
    publication = view.services.settings.audit.publication
    late = publication.interval * PUBLISHED_LATE
    deviations = []
    for target in publication.targets:
        reached = any(
            event["data"].get("target") == target.name
            for event in view.services.audit.events(
                view.session, "ml-platform.audit.publication.published", view.now - late, view.now
            )
        )
        if not reached and view.running_for > late:
            deviations.append(Deviation("audit:log", f"no checkpoint reached {target.name} in time"))
    return Result(len(publication.targets), tuple(deviations), "no second place is configured for checkpoints")


RECORD_CHECKS = (
    Check("access.reviewed", "Standing permissions were reviewed in the last quarter", _reviewed, of_models=False),
    Check("access.separated", "Nobody did alone what takes two", _separated, of_models=False),
    Check("retention.current", "What is over is deleted every day", _retained, of_models=False),
    Check("erasures.in-time", "Requests of people about their data are answered in time", _erased, of_models=False),
    Check("record.published", "Checkpoints of the record reach a second place", _published, of_models=False),
)
