"""Why a repository can't be updated, each with what to do about it."""

from scaffolder.errors import InvalidAnswer, ScaffoldError, TemplateRefused


class UpdateError(ScaffoldError):
    """The repository was not updated, and nothing of it changed; ``fix`` says what to do."""


class AnswersMissing(UpdateError):
    """The repository has no answers file, so nobody knows what it was made from."""


class AnswersUnreadable(UpdateError):
    """The answers file is not what Copier writes: not YAML, not a mapping, or without the template's address or version."""


class AnswerInvalid(UpdateError, InvalidAnswer):
    """An answer is not acceptable to the template; ``question`` names it."""

    def __init__(self, message: str, *, question: str = "", fix: str | None = None) -> None:
        super().__init__(message, fix=fix)
        self.question = question


class OtherTemplate(UpdateError):
    """The answers file names another template than the one to update from."""


class UnknownVersion(UpdateError):
    """The template has no such version."""


class Downgrade(UpdateError):
    """The repository is at a later version than the one asked for."""


class UnsafeTemplate(UpdateError, TemplateRefused):
    """The template would run code of its own: tasks, migrations, Jinja extensions, submodules."""


class TemplateFault(UpdateError):
    """The template can't be rendered with this repository's answers."""


class RepositoryFault(UpdateError):
    """The repository, the commit or the branch is not there, or not usable."""


class Moved(UpdateError):
    """The branch is no longer where it was expected to be."""


class WorkerLost(UpdateError):
    """The process that computed the update took too long or too much memory, and was ended."""
