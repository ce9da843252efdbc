"""Why a repository was not adopted."""

from scaffolder.errors import ScaffoldError


class AdoptionRefused(ScaffoldError):
    """The repository is not in a state to be adopted; it was not touched."""


class AnswersNeeded(ScaffoldError):
    """Something has to be known that neither the repository nor the answers say; nothing was written."""

    exit_code = 2
