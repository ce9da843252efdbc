"""Put existing repositories on the golden path.

:func:`adopt` reads a repository at its HEAD, guesses the template's answers from it and says by what evidence, and commits on a
branch of its own what is missing. Nothing of the repository is imported, built or run, and nothing that is there is changed but
by additions that are listed.
"""

from scaffolder.adopt.errors import AdoptionRefused, AnswersNeeded
from scaffolder.adopt.report import Action, Decision
from scaffolder.adopt.service import BRANCH, Adoption, adopt

__all__ = ["BRANCH", "Action", "Adoption", "AdoptionRefused", "AnswersNeeded", "Decision", "adopt"]
