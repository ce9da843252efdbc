"""Settings of who may do what: policies, roles, linked identities, grants and access reviews."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from backend.core.config_base import SettingsModel
from mlplatform.spec.model import Classification, EntityRef
from mlplatform.spec.quantities import Duration

NAME_PATTERN = r"^[a-z0-9]+(-[a-z0-9]+)*$"
Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=63)]
RESERVED_ROLES = frozenset({"administrator", "break-glass"})
"""Roles that `permissions` gives."""


class LinkedIdentity(SettingsModel):
    """One person who is known by several names."""

    person: EntityRef = Field(description="The user of the catalog.")
    refs: list[Annotated[str, Field(min_length=1, max_length=255)]] = Field(
        min_length=1, description="Other names of the same person: users, services or the author of commits."
    )


class GrantSettings(SettingsModel):
    """For how long access is given."""

    longest: Duration = Field(default=timedelta(days=30), description="Longest time that a grant may last.")
    longest_break_glass: Duration = Field(
        default=timedelta(hours=4), description="Longest time that access lasts which somebody took without asking."
    )
    wait: Duration = Field(
        default=timedelta(days=14), description="How long a request waits for a decision before it expires."
    )


class ReviewSettings(SettingsModel):
    """When standing permissions are reviewed. Times are UTC."""

    enabled: bool = Field(default=False, description="Whether reviews open by themselves.")
    months: list[Annotated[int, Field(ge=1, le=12)]] = Field(
        default=[1, 4, 7, 10], min_length=1, description="Months on whose first day a review opens."
    )
    remind_after: Duration = Field(default=timedelta(days=7), description="When reviewers are reminded.")
    escalate_after: Duration = Field(
        default=timedelta(days=14), description="When what is left also becomes the administrators' business."
    )
    expire_after: Duration = Field(
        default=timedelta(days=21), description="When what nobody confirmed expires, and the review closes."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not timedelta(0) < self.remind_after < self.escalate_after < self.expire_after:
            raise ValueError("remindAfter, escalateAfter and expireAfter must follow each other")
        return self


def _default_purposes() -> dict[str, Classification]:
    return {
        "analytics": Classification.CONFIDENTIAL,
        "monitoring": Classification.CONFIDENTIAL,
        "model-training": Classification.PII,
        "model-evaluation": Classification.PII,
        "incident-response": Classification.SENSITIVE_PII,
        "subject-request": Classification.SENSITIVE_PII,
    }


class AccessSettings(SettingsModel):
    """Who may do what, beyond `permissions`."""

    policies: list[Path] = Field(
        default_factory=list, description="Cedar policy files of the organisation, added to those that are shipped."
    )
    roles: dict[Name, list[EntityRef]] = Field(
        default_factory=dict,
        description="Groups by role; shipped policies speak of auditor, data-protection, labeller and alert-source, your own "
        "of any.",
    )
    identities: list[LinkedIdentity] = Field(
        default_factory=list, description="People with several names, who count as one wherever two are needed."
    )
    purposes: dict[Name, Classification] = Field(
        default_factory=_default_purposes,
        description="What data may be read for, and the highest classification each reaches.",
    )
    grants: GrantSettings = Field(default_factory=GrantSettings)
    reviews: ReviewSettings = Field(default_factory=ReviewSettings)

    @field_validator("policies")
    @classmethod
    def _absolute(cls, value: list[Path]) -> list[Path]:
        return [path.expanduser().resolve() for path in value]

    @field_validator("roles")
    @classmethod
    def _not_reserved(cls, value: dict[str, list[str]]) -> dict[str, list[str]]:
        if taken := RESERVED_ROLES.intersection(value):
            raise ValueError(f"{', '.join(sorted(taken))}: is given by mlPlatform.permissions")
        return value

    @field_validator("identities")
    @classmethod
    def _one_person_each(cls, value: list[LinkedIdentity]) -> list[LinkedIdentity]:
        seen: dict[str, str] = {}
        for one in value:
            for ref in {one.person.casefold(), *(ref.casefold() for ref in one.refs)}:
                if seen.setdefault(ref, one.person.casefold()) != one.person.casefold():
                    raise ValueError(f"{ref} is {seen[ref]} and {one.person} at once")
        return value
