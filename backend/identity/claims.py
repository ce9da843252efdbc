"""How the claims of each kind of issuer become a principal."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from backend.core.config import IssuerSettings
from backend.identity.principal import PrincipalKind

REPOSITORY_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9.-]*(/[A-Za-z0-9_.][A-Za-z0-9_. -]*)+$"
"""A repository id: ``host/org/name``, or ``local/name``."""

_REPOSITORY = re.compile(REPOSITORY_PATTERN)
_REF = re.compile(r"^(user|group):[a-z0-9-]+/[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")
_NAME = re.compile(r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")
_LONGEST = 190
_MOST_GROUPS = 1000

Mapped = tuple[PrincipalKind, str, frozenset[str]]


class ClaimsRefused(Exception):
    """The token verifies, but its claims name nobody that this platform knows."""


def local_principal(claims: Mapping[str, Any]) -> Mapped:
    """Return who a token of the embedded issuer is about."""
    subject = _claim(claims, "sub")
    if subject.startswith("repository:"):
        return PrincipalKind.REPOSITORY, _repository(subject.removeprefix("repository:")), frozenset()
    return PrincipalKind.USER, _ref(subject, "user"), _groups(claims.get("groups"))


def external_principal(settings: IssuerSettings, claims: Mapping[str, Any]) -> Mapped:
    """Return who a token of a configured issuer is about."""
    host = urlsplit(settings.issuer).hostname or settings.issuer
    if settings.kind == "github":
        host = "github.com" if host == "token.actions.githubusercontent.com" else host
        repository = _claim(claims, "repository")
        # `sub` can be customised by an organisation, but it always says the same repository when it says one.
        subject = _claim(claims, "sub")
        if subject.startswith("repo:") and subject.split(":")[1].lower() != repository.lower():
            raise ClaimsRefused("the claims `sub` and `repository` name different repositories")
        return PrincipalKind.REPOSITORY, _repository(f"{host}/{repository}"), frozenset()
    if settings.kind == "gitlab":
        repository = f"{host}/{_claim(claims, 'project_path')}"
        return PrincipalKind.REPOSITORY, _repository(repository), frozenset()
    if settings.kind == "backstage":
        groups = [ref for ref in _list(claims.get("ent")) if ref.startswith("group:")]
        return PrincipalKind.USER, _ref(_claim(claims, "sub"), "user"), _groups(groups)
    return _oidc(settings, claims)


def _oidc(settings: IssuerSettings, claims: Mapping[str, Any]) -> Mapped:
    groups = frozenset(
        f"group:default/{name.strip('/')}"
        for name in _list(claims.get(settings.groups_claim))
        if _NAME.match(name.strip("/"))
    )
    if settings.user_claim in claims:
        name = _claim(claims, settings.user_claim)
        if not _NAME.match(name):
            raise ClaimsRefused(f"the claim `{settings.user_claim}` is no entity name; choose another `userClaim`")
        return PrincipalKind.USER, f"user:default/{name}", groups
    for claim in ("client_id", "azp"):
        if claim in claims:
            name = _claim(claims, claim)
            if not _NAME.match(name):
                raise ClaimsRefused(f"the claim `{claim}` is no service name")
            return PrincipalKind.SERVICE, f"service:{name}", groups
    raise ClaimsRefused(f"there is no claim `{settings.user_claim}`")


def _claim(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value or len(value) > _LONGEST:
        raise ClaimsRefused(f"the claim `{name}` is missing or is no text")
    return value


def _list(value: Any) -> list[str]:
    if not isinstance(value, list):
        return []
    return [one for one in value[:_MOST_GROUPS] if isinstance(one, str) and len(one) <= _LONGEST]


def _groups(value: Any) -> frozenset[str]:
    return frozenset(ref for ref in _list(value) if _REF.match(ref) and ref.startswith("group:"))


def _ref(value: str, kind: str) -> str:
    if not _REF.match(value) or not value.startswith(f"{kind}:"):
        raise ClaimsRefused(f"the claim `sub` is no {kind} entity ref")
    return value


def _repository(value: str) -> str:
    if not _REPOSITORY.match(value):
        raise ClaimsRefused("the token names no repository")
    return f"repository:{value}"
