"""What a Backstage says about its users, and what its tokens look like.

Formats: Backstage's ``@backstage/backend-defaults`` (plugin tokens) and ``@backstage/plugin-auth-backend`` (user tokens).
"""

import hashlib
import logging
import threading
from collections import OrderedDict
from datetime import datetime

import httpx

from backend.core.clock import Clock
from backend.core.errors import Unavailable

PLUGIN_ID = "ml-platform"
"""The platform's id among the plugins of a Backstage: whom a plugin token must be for."""
PLUGIN_TOKEN = "vnd.backstage.plugin"  # noqa: S105 -- a type
USER_TOKEN = "vnd.backstage.user"  # noqa: S105 -- a type
LIMITED_TOKEN = "vnd.backstage.limited-user"  # noqa: S105 -- a type
"""What a plugin has of a user: it says who they are, and counts only inside that plugin's own token."""

_MOST_REMEMBERED = 4096
_LARGEST_ANSWER = 1 << 20

_log = logging.getLogger(__name__)


class Ownership:
    """What users own, for tokens that don't say it: asked of Backstage once per token, and remembered until that ends."""

    def __init__(self, backstage_url: str, clock: Clock) -> None:
        self._uri, self._clock = f"{backstage_url}/api/auth/v1/userinfo", clock
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, tuple[datetime, list[str]]] = OrderedDict()

    def of(self, token: str, user: str, expires: datetime) -> list[str]:
        """Return the entity refs that a user with a verified token owns things as.

        Raises:
            Unavailable: Backstage does not say; without groups nobody can be told what they may do.
        """
        # A copy of the memory should not hold tokens that can still be used.
        key = hashlib.sha256(token.encode()).digest()
        with self._lock:
            known = self._known.get(key)
            if known is not None and known[0] > self._clock.now():
                return known[1]
        owned = self._ask(token, user)
        with self._lock:
            self._known[key] = (expires, owned)
            self._known.move_to_end(key)
            if len(self._known) > _MOST_REMEMBERED:
                self._known.popitem(last=False)
        return owned

    def _ask(self, token: str, user: str) -> list[str]:
        try:
            answer = httpx.get(
                self._uri, headers={"Authorization": f"Bearer {token}"}, timeout=5, follow_redirects=False
            )
            if answer.status_code != httpx.codes.OK:
                raise ValueError(f"it answers {answer.status_code}")
            if len(answer.content) > _LARGEST_ANSWER:
                raise ValueError("the answer is too large")
            claims = answer.json()["claims"]
            if claims["sub"] != user:
                raise ValueError("the answer is about somebody else")
            owned = claims["ent"]
            if not isinstance(owned, list) or any(not isinstance(one, str) for one in owned):
                raise ValueError("`claims.ent` is no list of texts")
            return owned
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            _log.warning("can't ask Backstage for a user's groups", extra={"uri": self._uri, "error": str(error)})
            raise Unavailable(
                f"Backstage does not say which groups {user} is in at the moment",
                fix="Try again in a minute; if it stays so, sign in to Backstage anew.",
            ) from None
