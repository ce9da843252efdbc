"""Bodies of the support routes."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from backend.core.actions import ActionOut
from backend.core.schemas import NO_NUL, Payload, PlainText, Schema
from backend.support.models import Priority, RequestState

Rating = Annotated[int, Field(ge=1, le=5, description="1: not at all; 5: very.")]
Said = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=10_000), NO_NUL]


class RequestIn(Payload):
    """What somebody asks the platform team."""

    priority: Priority = Field(
        default=Priority.P3,
        description="P0: production is down, or data is at risk. P1: somebody can't ship. P2: something is in the way. "
        "P3: a question or a wish.",
    )
    title: Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=200), NO_NUL]
    text: Said
    entity_ref: Annotated[PlainText, Field(max_length=190, examples=["component:default/wine"])] | None = Field(
        default=None, description="What in the catalog it is about."
    )


class EntryIn(Payload):
    """Something to be said about a request."""

    text: Said


class RequestOut(Schema):
    """A request."""

    id: str
    priority: Priority
    title: str
    text: str
    entity_ref: str | None
    state: RequestState
    asked_by: str
    asked_at: datetime
    due_at: datetime = Field(description="When it has to be answered first.")
    overdue: bool
    answered_at: datetime | None = Field(description="When the platform team said something first.")
    answered_by: str | None
    resolved_at: datetime | None
    resolved_by: str | None


class RequestEntryOut(Schema):
    """Something that was said about a request."""

    at: datetime
    kind: str = Field(examples=["answer"])
    by: str
    text: str


class WholeRequestOut(RequestOut):
    """A request with what was said about it."""

    entries: list[RequestEntryOut]
    actions: list[ActionOut] = Field(description="What the caller may do about it now.")


class QuestionOut(Schema):
    """A question of the survey."""

    name: str = Field(examples=["satisfaction"])
    text: str


class OwnAnswerOut(Schema):
    """What the caller said this quarter."""

    ratings: dict[str, int]
    comment: str = Field(description="As it is kept: redacted.")


class ResultsOut(Schema):
    """What people said in a quarter."""

    quarter: str = Field(examples=["2028-Q1"])
    answers: int
    enough: bool = Field(description="Whether enough people answered for anything to be shown.")
    mean: float | None = Field(description="Over all questions, to one decimal.")
    means: dict[str, float] = Field(description="By question, to one decimal.")
    comments: list[str] | None = Field(description="For platform administrators; null for others.")


class SurveyOut(Schema):
    """This quarter's survey."""

    quarter: str = Field(examples=["2028-Q1"])
    ends_at: datetime
    questions: list[QuestionOut]
    answer: OwnAnswerOut | None = Field(description="What the caller has answered.")
    results: ResultsOut
    action: ActionOut = Field(description="Whether the caller may answer.")


class SurveyAnswerIn(Payload):
    """An answer to this quarter's survey; it takes the place of an earlier one."""

    ratings: dict[Annotated[PlainText, Field(max_length=40)], Rating] = Field(
        max_length=10, examples=[{"satisfaction": 4, "shipping": 5, "help": 4}]
    )
    comment: Annotated[PlainText, Field(max_length=2000)] = ""
