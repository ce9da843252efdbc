"""What the scaffolder says and hears over HTTP."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from backend.core.schemas import Payload, PlainText, Schema
from scaffolder.hosts.base import Checks, PullState
from scaffolder.models import ProgressState, ScaffoldState, Step

Short = Annotated[PlainText, StringConstraints(min_length=1, max_length=255)]
Answer = PlainText | int | float | bool | None | list[Any] | dict[str, Any]


class ScaffoldIn(Payload):
    """A wish for a repository."""

    name: Annotated[PlainText, StringConstraints(min_length=1, max_length=200)]
    type: Annotated[PlainText, StringConstraints(max_length=20)] | None = Field(
        default=None, description="Which golden path; for other templates null."
    )
    template: Annotated[PlainText, StringConstraints(max_length=63)] = "golden-path"
    template_version: Annotated[PlainText, StringConstraints(max_length=100)] | None = Field(
        default=None, description="A released version; the newest if null."
    )
    answers: dict[str, Answer] = Field(default_factory=dict, description="Answers to the template's questions.")
    owner: Short | None = Field(default=None, description="Owning group, for a template that does not ask for it.")
    host: Short | None = Field(default=None, description="Name of a configured git host; the first one if null.")
    org: Short | None = Field(default=None, description="Organisation on the host; the host's own default if null.")


class ScaffoldEventOut(Schema):
    """A step of progress."""

    seq: int
    step: Step
    state: ProgressState
    message: str
    at: datetime


class ScaffoldOut(Schema):
    """A scaffold and everything that happened to it so far."""

    id: str
    name: str
    type: str | None
    template: str
    template_version: str
    host: str
    org: str
    owner: str
    description: str
    answers: dict[str, Any]
    state: ScaffoldState
    step: Step
    reason: str | None
    fix: str | None
    cleaned_up: bool | None = Field(description="After a failure: whether everything that was made is taken back.")
    requested_by: str
    requested_at: datetime
    finished_at: datetime | None
    cancel_requested_by: str | None
    commit: str | None
    clone_url: str | None
    web_url: str | None
    location: str | None = Field(description="Id of its location in the catalog.")
    events: list[ScaffoldEventOut]


class PlanOut(Schema):
    """What a scaffold would make."""

    name: str
    template_version: str
    host: str
    org: str
    owner: str
    files: list[str] = Field(description="Paths that the repository would begin with.")


class QuestionsOut(Schema):
    """A template's questions, as pages of a Backstage form."""

    template: str
    version: str
    parameters: list[dict[str, Any]] = Field(
        description="Pages with title, required and properties: JSON Schema with Backstage's `ui:` hints."
    )


class TemplateOut(Schema):
    """A template."""

    name: str
    url: str
    description: str
    versions: list[str] = Field(description="Oldest first.")
    reason: str | None = Field(default=None, description="Why its versions are not known.")


class ChangesOut(Schema):
    """What one version of a template changes."""

    version: str
    date: str | None
    text: str = Field(description="Markdown.")


class PullRequestIn(Payload):
    """A pull request to be opened."""

    head: Annotated[PlainText, StringConstraints(min_length=1, max_length=200)]
    title: Annotated[PlainText, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    body: Annotated[PlainText, StringConstraints(max_length=50_000)] = ""
    draft: bool = False


class DecisionIn(Payload):
    """What is to become of a pull request."""

    decision: Literal["merge", "close", "ready"]


class PullRequestOut(Schema):
    """A pull request as it is now."""

    number: int
    title: str
    body: str
    head: str
    base: str
    head_commit: str
    state: PullState
    draft: bool
    labels: list[str]
    checks: Checks
    mergeable: bool | None
    web_url: str | None
    merge_commit: str | None
