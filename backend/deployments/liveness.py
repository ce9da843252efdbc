"""When a version that should answer counts as dead."""

import time
from collections.abc import Sequence

from backend.deployments.targets.base import ReplicaState


class Liveness:
    """Looks at one version's replicas again and again; ``patience`` is for how many seconds none need be ready."""

    def __init__(self, version: int, patience: float) -> None:
        self._version, self._patience = version, patience
        self._dead_since: float | None = None

    def dead(self, replicas: Sequence[ReplicaState]) -> str | None:
        """Return why the version counts as dead, if it does."""
        if any(one.state == "ready" for one in replicas):
            self._dead_since = None
            return None
        now = time.monotonic()
        self._dead_since = self._dead_since or now
        failed = next((one for one in replicas if one.state == "failed"), None)
        if failed is None and now - self._dead_since < self._patience:
            return None
        said = f": {failed.message}" if failed is not None and failed.message else ""
        return f"v{self._version} has no live replica any more{said}"
