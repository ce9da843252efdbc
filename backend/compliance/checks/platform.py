"""Checks of the platform itself."""

from backend.audit.verify import snapshot, verify
from backend.compliance import repository
from backend.compliance.checks.base import Check, Deviation, Result, View
from backend.compliance.models import Waiver

LATE = 3
"""How many times its frequency a check may go without being run."""


def _verifies(view: View) -> Result:
    with snapshot(view.services.database.engine.connect()) as connection:
        audit = view.services.audit
        found = verify(connection, audit.key.public_key, store=audit.sealed.store)
    deviations = tuple(Deviation("audit", fault.message, fault.id) for fault in found.faults)
    return Result(found.events, deviations, "the audit log is empty")


def _current(view: View) -> Result:
    frequencies = view.services.controls.frequencies
    ran = {id: at for id, (_state, at) in repository.evaluated(view.session).items()}
    late = tuple(
        Deviation(f"check:{id}", f"{id} was last run {ran[id]:%Y-%m-%d %H:%M} UTC")
        for id, frequency in sorted(frequencies.items())
        if id in ran and ran[id] < view.now - LATE * frequency
    )
    return Result(sum(id in ran for id in frequencies), late, "no check has run yet")


def _bounded(view: View) -> Result:
    longest = view.services.settings.compliance.longest_waiver
    rows = [row for row in repository.decided_waivers(view.session) if view.covers(row.model)]
    deviations = []
    for row in rows:
        if row.expires_at - row.requested_at > longest:
            deviations.append(_about(row, f"holds for longer than {longest.days} days"))
        people = view.services.access.people
        asked = people.behind(row.requested_by, row.on_behalf_of)
        if row.decided_by and people.person(row.decided_by) in asked:
            deviations.append(_about(row, f"was decided by {row.decided_by}, who asked for it"))
    return Result(len(rows), tuple(deviations), "no waiver was granted")


def _about(row: Waiver, message: str) -> Deviation:
    return Deviation(f"model:{row.model}", f"the waiver of {row.gate} for {row.model} {message}", row.id, row.model)


PLATFORM_CHECKS = (
    Check("audit.verifies", "The audit log is complete and unchanged", _verifies, of_models=False),
    Check("controls.current", "Every check runs at its frequency", _current, of_models=False),
    Check("waivers.bounded", "Waivers end by themselves and were decided by somebody else", _bounded),
)
