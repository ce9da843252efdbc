"""How the claims of each kind of issuer become a principal."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

from backend.core.config_identity import IssuerSettings
from backend.identity.principal import PrincipalKind

REPOSITORY_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9.-]*(/[A-Za-z0-9_.][A-Za-z0-9_. -]*)+$"
"""A repository id: ``host/org/name``, or ``local/name``."""

_REPOSITORY = re.compile(REPOSITORY_PATTERN)
_REF = re.compile(r"^(user|group):[a-z0-9-]+/[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")
_NAME = re.compile(r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")
_ACCOUNT = re.compile(r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")
_COMMIT = re.compile(r"^[0-9a-f]{40}([0-9a-f]{24})?$")
_LONGEST = 190
_MOST_GROUPS = 1000


@dataclass(frozen=True)
class Claimed:
    """What a token's claims say; see :class:`backend.identity.principal.Principal`."""

    kind: PrincipalKind
    ref: str
    groups: frozenset[str] = frozenset()
    on_behalf_of: str | None = None
    run: str | None = None
    commit: str | None = None


class ClaimsRefused(Exception):
    """The token verifies, but its claims name nobody that this platform knows."""


def local_principal(claims: Mapping[str, Any]) -> Claimed:
    """Return who a token of the embedded issuer is about."""
    subject = _claim(claims, "sub")
    if subject.startswith("repository:"):
        actor = claims.get("act")  # RFC 8693, section 4.1
        person = _ref(_claim(actor, "sub"), "user") if isinstance(actor, Mapping) else None
        return Claimed(PrincipalKind.REPOSITORY, _repository(subject.removeprefix("repository:")), on_behalf_of=person)
    return Claimed(PrincipalKind.USER, _ref(subject, "user"), _groups(claims.get("groups")))


def external_principal(settings: IssuerSettings, claims: Mapping[str, Any]) -> Claimed:
    """Return who a token of a configured issuer is about."""
    if settings.kind == "github":
        return _github(settings, claims)
    if settings.kind == "gitlab":
        return _gitlab(settings, claims)
    if settings.kind == "kubernetes":
        return Claimed(PrincipalKind.REPOSITORY, _repository(_repository_of_account(settings, claims)))
    if settings.kind == "backstage":
        return backstage_user(claims)
    return _oidc(settings, claims)


def backstage_user(claims: Mapping[str, Any]) -> Claimed:
    """Return the user that claims of Backstage are about; its groups are those of the ownership claim, ``ent``."""
    return Claimed(PrincipalKind.USER, _ref(_claim(claims, "sub"), "user"), _groups(claims.get("ent")))


def _github(settings: IssuerSettings, claims: Mapping[str, Any]) -> Claimed:
    host = _host(settings)
    host = "github.com" if host == "token.actions.githubusercontent.com" else host
    repository = _claim(claims, "repository")
    # `sub` can be customised by an organisation, but it always says the same repository when it says one.
    subject = _claim(claims, "sub")
    if subject.startswith("repo:") and subject.split(":")[1].lower() != repository.lower():
        raise ClaimsRefused("the claims `sub` and `repository` name different repositories")
    _of_accepted_ref(settings, claims.get("ref"))
    run = claims.get("run_id")
    return Claimed(
        PrincipalKind.REPOSITORY,
        _repository(f"{host}/{repository}"),
        on_behalf_of=_person(settings, claims.get("actor")),
        run=f"https://{host}/{repository}/actions/runs/{run}" if _is_text(run) else None,
        commit=_commit(claims.get("sha")),
    )


def _gitlab(settings: IssuerSettings, claims: Mapping[str, Any]) -> Claimed:
    host, project = _host(settings), _claim(claims, "project_path")
    kind = {"branch": "heads", "tag": "tags"}.get(str(claims.get("ref_type")), "")
    _of_accepted_ref(settings, f"refs/{kind}/{claims.get('ref')}")
    job = claims.get("job_id")
    return Claimed(
        PrincipalKind.REPOSITORY,
        _repository(f"{host}/{project}"),
        on_behalf_of=_person(settings, claims.get("user_login")),
        run=f"https://{host}/{project}/-/jobs/{job}" if _is_text(job) else None,
        commit=_commit(claims.get("sha")),
    )


def _host(settings: IssuerSettings) -> str:
    return urlsplit(settings.issuer).hostname or settings.issuer


def _of_accepted_ref(settings: IssuerSettings, ref: Any) -> None:
    if settings.refs and not any(fnmatchcase(str(ref), pattern) for pattern in settings.refs):
        accepted = " or ".join(settings.refs)
        raise ClaimsRefused(f"the token is for the git ref {str(ref)[:80]!r}; accepted is {accepted}")


def _person(settings: IssuerSettings, login: Any) -> str | None:
    """Return the catalog's name of whoever started a job; a bot is no person, so it is a service."""
    if not _is_text(login):
        return None
    if login in settings.users:
        return settings.users[login]
    if login.endswith("[bot]"):
        return f"service:{login.removesuffix('[bot]')}"
    return f"user:default/{login.lower()}" if _NAME.match(login) else None


def _commit(value: Any) -> str | None:
    return value if isinstance(value, str) and _COMMIT.match(value) else None


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST


def _repository_of_account(settings: IssuerSettings, claims: Mapping[str, Any]) -> str:
    """Return the repository that a Kubernetes service account stands for; the first setting that fits decides.

    The subject has the form ``system:serviceaccount:<namespace>:<name>`` (Kubernetes, "Authenticating", service account
    tokens).
    """
    subject = _claim(claims, "sub")
    parts = subject.split(":")
    if parts[:2] != ["system", "serviceaccount"] or len(parts) != 4 or not _ACCOUNT.match(parts[3]):
        raise ClaimsRefused("the claim `sub` is no service account")
    namespace, name = parts[2:]
    for account in settings.service_accounts:
        if account.namespace == namespace and account.name in {name, "*"}:
            return account.repository.replace("{name}", name)
    raise ClaimsRefused(f"the service account {namespace}/{name} is mapped to no repository (serviceAccounts)")


def _oidc(settings: IssuerSettings, claims: Mapping[str, Any]) -> Claimed:
    groups = frozenset(
        f"group:default/{name.strip('/')}"
        for name in _list(claims.get(settings.groups_claim))
        if _NAME.match(name.strip("/"))
    )
    if settings.user_claim in claims:
        name = _claim(claims, settings.user_claim)
        if not _NAME.match(name):
            raise ClaimsRefused(f"the claim `{settings.user_claim}` is no entity name; choose another `userClaim`")
        return Claimed(PrincipalKind.USER, f"user:default/{name}", groups)
    for claim in ("client_id", "azp"):
        if claim in claims:
            name = _claim(claims, claim)
            if not _NAME.match(name):
                raise ClaimsRefused(f"the claim `{claim}` is no service name")
            return Claimed(PrincipalKind.SERVICE, f"service:{name}", groups)
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
