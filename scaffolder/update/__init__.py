"""Update model repositories to a later release of their template: see :mod:`scaffolder.update.engine`.

=================  ==========================================================
``store``          versions of the template, each checked out once
``jobs``           what is rendered, and what comes of it
``render``         Copier's code, compiled once per version
``worker``         Copier's worker, told what it would work out again for every file
``merge``          the three-way merge, in git plumbing
``conflicts``      what somebody has to look at, and ``suggest`` what to do
``drift``          where a repository differs from what its template made
``engine``         all of it for one repository
``pool``           for many, in several processes
=================  ==========================================================
"""

from scaffolder.update.engine import UpdateEngine
from scaffolder.update.errors import UpdateError
from scaffolder.update.models import Conflict, ConflictKind, Drift, Hunk, Outcome, Request, Suggestion, Update
from scaffolder.update.pool import EngineOptions, UpdatePool
from scaffolder.update.store import TemplateStore, TemplateVersion

__all__ = [
    "Conflict",
    "ConflictKind",
    "Drift",
    "EngineOptions",
    "Hunk",
    "Outcome",
    "Request",
    "Suggestion",
    "TemplateStore",
    "TemplateVersion",
    "Update",
    "UpdateEngine",
    "UpdateError",
    "UpdatePool",
]
