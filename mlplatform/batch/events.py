"""What a run says on standard output: one JSON object a line, for whoever started it.

``{"event": "progress", "rows": 50000, "rejected": 3, "total": 842000}`` now and then, and at last either
``{"event": "ended", "outcome": "done", ...}`` or ``{"event": "failed", "message": "...", "again": false}``. A run that ends
without either was killed.
"""

import json
import os
import threading
import time
from typing import IO, Any

from mlplatform.batch.run import Scored

_EVERY = 0.5
"""Seconds between two lines about progress."""


class Events:
    """Writes events. Safe to share between threads; only one last word is ever said."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._said = float("-inf")
        self._over = False

    def progress(self, rows: int, rejected: int, total: int) -> None:
        """Tell how far the run is, not too often."""
        now = time.monotonic()
        if rows < total and now - self._said < _EVERY:
            return
        self._said = now
        self._write({"event": "progress", "rows": rows, "rejected": rejected, "total": total})

    def ended(self, scored: Scored) -> None:
        """Tell that all went well."""
        manifest = scored.manifest
        self._write(
            {
                "event": "ended",
                "outcome": scored.outcome,
                "rows": manifest.rows_out,
                "rejected": manifest.rows_rejected,
                "total": manifest.rows_in,
                "inputDigest": manifest.input_digest,
                "outputDigest": manifest.output_digest,
                "modelSeconds": manifest.model_seconds,
                "scoringSeconds": manifest.scoring_seconds,
                "reasons": [one.model_dump(by_alias=True) for one in manifest.rejected[:10]],
            },
            last=True,
        )

    def failed(self, message: str, *, again: bool) -> None:
        """Tell why nothing was changed."""
        self._write({"event": "failed", "message": message, "again": again}, last=True)

    def _write(self, event: dict[str, Any], *, last: bool = False) -> None:
        with self._lock:
            if self._over:
                return
            self._over = last
            self._stream.write(json.dumps(event) + "\n")
            self._stream.flush()


def own_stdout() -> IO[str]:
    """Return standard output for events alone: what others print there, native code included, goes to standard error."""
    mine = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return mine
