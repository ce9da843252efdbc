"""``streaming`` of ``model.yaml``: which messages are scored, and where the answers go."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mlplatform.spec.base import EntryPoint, SpecModel
from mlplatform.spec.quantities import Duration

Subject = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$", max_length=200)]
"""A name that is a NATS subject, a Kafka topic and a Redis stream alike."""


class Streaming(SpecModel):
    """A consumer that answers each message at least once.

    A message is a JSON object with the columns of ``schema.inputs``; its answer has those of ``schema.outputs``.
    """

    broker: Literal["nats", "kafka", "redis"] = Field(description="NATS JetStream, Kafka or Redis Streams.")
    input: Subject = Field(description="Where messages come from.")
    output: Subject = Field(description="Where answers go.")
    dead_letter: Subject = Field(description="Where messages go that can't be answered, with the reason.")
    key: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="Member of a message by which versions share the work in a rollout; the message's id if null.",
    )
    carry: list[Annotated[str, Field(min_length=1, max_length=200)]] = Field(
        default_factory=list, max_length=50, description="Members of a message that are passed on with its answer."
    )
    max_in_flight: int = Field(
        default=256, ge=1, le=65_536, description="Most unanswered messages of one replica: more are not fetched."
    )
    max_deliveries: int = Field(
        default=5, ge=1, le=100, description="How often an answer is tried before the message is a dead letter."
    )
    ack_wait: Duration = Field(
        default=timedelta(seconds=30),
        description="A message whose replica has not been heard of for so long is delivered again.",
    )
    begin: Literal["earliest", "latest"] = Field(
        default="earliest",
        description="Where the first version of an environment begins: with the oldest message that the broker "
        "holds, or with the next one. Later versions go on where the one before them is.",
    )
    sample: EntryPoint | None = Field(
        default=None,
        description="Function without arguments that yields example messages, which `platform dev` replays.",
    )

    @model_validator(mode="after")
    def _subjects_differ(self) -> Self:
        subjects = {"input": self.input, "output": self.output, "deadLetter": self.dead_letter}
        if len(set(subjects.values())) < len(subjects):
            raise ValueError("input, output and deadLetter must differ")
        return self

    @model_validator(mode="after")
    def _waits_are_long_enough(self) -> Self:
        if self.ack_wait < timedelta(seconds=1):
            raise ValueError("ackWait must be at least 1s: brokers and networks have pauses of their own")
        return self

    @model_validator(mode="after")
    def _carries_each_member_once(self) -> Self:
        twice = sorted({name for name in self.carry if self.carry.count(name) > 1})
        if twice:
            raise ValueError(f"carry names {', '.join(twice)} more than once")
        return self
