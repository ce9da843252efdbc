"""Figures of what the platform does besides rolling out: personal data, evidence, templates, support, satisfaction."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from backend.overview.measures import Measure, Sample, latest, middle, number, share
from backend.support.models import Priority
from scaffolder.fleet.inventory import COUNTED

if TYPE_CHECKING:
    from backend.core.container import Services

PII_CHECK = "pii.none-undeclared"


def upkeep(services: "Services", session: Session, since: datetime) -> list[Measure]:
    """Return the figures of what happened since a time."""
    packs = [
        Sample(at, f"evidence:{id}", (at - asked).total_seconds() / 60, f"asked by {by}")
        for id, by, asked, at in services.evidence.written(session, since)
    ]
    return [
        Measure(
            "pii-violations",
            "count",
            0,
            "Times that a live version held personal data that nobody had declared or waived, or left some in its samples.",
            number,
            _personal_data(services, session, since),
        ),
        Measure(
            "evidence-minutes",
            "minutes",
            60,
            "Time from asking for an evidence pack to having it; half took longer.",
            middle,
            packs,
        ),
        Measure(
            "template-currency",
            "percent",
            90,
            "Repositories that have the newest version of the template that they came from.",
            share,
            [
                Sample(
                    services.clock.now(),
                    f"repository:{one.host}/{one.org}/{one.name}",
                    float(one.behind == 0),
                    f"{one.template} {one.version}" + ("" if one.behind == 0 else f", the newest is {one.newest}"),
                )
                for one in services.fleet.from_templates(session)
            ],
            at_least=True,
            history=_counted(services, session, since),
        ),
        *(
            Measure(
                f"support-{priority.value.lower()}-answered",
                "percent",
                100,
                f"Requests of priority {priority} that the platform team answered in time.",
                share,
                [
                    Sample(one.asked_at, f"support:{one.id}", float(one.in_time), one.title)
                    for one in services.support.promised(session, priority, since)
                ],
                at_least=True,
            )
            for priority in (Priority.P0, Priority.P1)
        ),
        Measure(
            "satisfaction",
            "of 5",
            4,
            "Mean of the quarterly survey's answers, 1 to 5, of the newest quarter that enough people answered in.",
            latest,
            [
                Sample(at, f"survey:{one.quarter}", one.mean, f"{one.answers} answers", of=one.answers)
                for at, one in services.survey.all_results(session)
                if one.mean is not None
            ],
            at_least=True,
            newest_only=True,
        ),
    ]


def _personal_data(services: "Services", session: Session, since: datetime) -> Sequence[Sample]:
    now = services.clock.now()
    found = [
        Sample(one.since, f"model:{one.model}", 1, one.message, until=one.until or now)
        for one in services.controls.lasting(session, PII_CHECK, since)
    ]
    leaks = services.privacy.samples.leaks(session, since)
    return [*found, *(Sample(one.at, one.subject, 1, f"{one.samples} samples in {one.environment}") for one in leaks)]


def _counted(services: "Services", session: Session, since: datetime) -> list[Sample]:
    found = []
    for event in services.audit.events(session, COUNTED, since, services.clock.now()):
        whole, current = event["data"]["repositories"], event["data"]["current"]
        if whole:
            at = datetime.fromisoformat(event["time"])
            found.append(Sample(at, "fleet", 100 * current / whole, f"{current} of {whole}", of=whole))
    return found
