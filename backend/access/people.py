"""Who is the same person: identities that are linked by the settings, and the people behind CI jobs."""

from collections.abc import Sequence

from backend.core.config_access import LinkedIdentity
from backend.identity.principal import Principal


class People:
    """Looks people up by any of their names; names are compared without case, as Backstage does."""

    def __init__(self, identities: Sequence[LinkedIdentity]) -> None:
        self._persons = {ref.casefold(): one.person.casefold() for one in identities for ref in (*one.refs, one.person)}

    def person(self, ref: str) -> str:
        """Return the one name that stands for all names of whoever this is."""
        return self._persons.get(ref.casefold(), ref.casefold())

    def behind(self, ref: str, on_behalf_of: str | None = None) -> frozenset[str]:
        """Return everybody who acted: the principal itself, and the person whom a CI job acted for."""
        return frozenset(self.person(one) for one in (ref, on_behalf_of) if one is not None)

    def of(self, principal: Principal) -> frozenset[str]:
        """Return everybody who is behind a caller."""
        return self.behind(principal.ref, principal.on_behalf_of)
