"""Who has which role by the settings."""

from backend.core.config_identity import PermissionSettings
from backend.identity.principal import Principal

LABELLER, ALERT_SOURCE = "labeller", "alert-source"
"""Roles that settings of other domains give to services and people by name."""


class Roles:
    """Which roles the settings give, to which groups, and to which services and people by name."""

    def __init__(self, permissions: PermissionSettings, roles: dict[str, list[str]]) -> None:
        self._roles: dict[str, list[str]] = {}
        everything = {"administrator": permissions.platform_admins, "break-glass": permissions.break_glass, **roles}
        for role, holders in everything.items():
            for holder in holders:
                self._roles.setdefault(holder.casefold(), []).append(role)

    def of(self, principal: Principal) -> list[str]:
        """Return the roles that somebody has, through groups or by name."""
        names = (principal.ref, *principal.groups)
        return sorted({role for name in names for role in self._roles.get(name.casefold(), ())})

    @property
    def names(self) -> list[str]:
        """The roles that somebody has."""
        return sorted({role for roles in self._roles.values() for role in roles})

    def holders(self, role: str) -> list[str]:
        """Return the groups that have a role, and who has it by name."""
        return sorted(holder for holder, roles in self._roles.items() if role in roles)

    def as_json(self) -> dict[str, list[str]]:
        """Return the roles by who has them."""
        return {holder: sorted(roles) for holder, roles in self._roles.items()}
