"""Taking personal data and secrets out of text that is about to be written down: logs, messages, error reports.

:func:`redact` costs microseconds, needs the standard library only and is linear in the length of its input, so that it can
stand in front of every log line. What it finds it finds by form (and check digits); names and addresses need the
language model of :mod:`mlplatform.pii`, which is for data at rest.

>>> redact("sent to ada@example.com with password=hunter2")
'sent to [REDACTED:EMAIL] with password=[REDACTED:SECRET]'
"""

from mlplatform.redaction.text import redact

__all__ = ["redact"]
