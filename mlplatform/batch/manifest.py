"""The manifest of a scored partition: ``_run.json``, a name that readers of Hive-partitioned data skip.

It names the files that belong to the partition. Readers that want to be sure go by it: on an object store it is the only
thing that changes in one step.
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from mlplatform.spec.model import ModelSpec

FILE_NAME = "_run.json"
FORMAT = 1
"""Raised when the same version would make other bytes of the same input, so that partitions are scored again."""


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)


class InputFile(_Part):
    """A file that was read. ``mark`` changes when it is written again; ``digest`` speaks for its content."""

    name: str
    bytes: int
    mark: str
    digest: str


class OutputFile(_Part):
    """A file that was written."""

    name: str
    bytes: int
    rows: int
    sha256: str


class RejectedRule(_Part):
    """How many rows broke a rule of a column. A row that breaks several is counted with each."""

    column: str
    rule: str
    rows: int


class Identity(_Part):
    """What a partition's content follows from, besides its input: the same identity and input give the same bytes."""

    format: int = FORMAT
    model: str
    version: int
    model_digest: str
    spec_digest: str


class Manifest(_Part):
    """What is known of a scored partition. Times are UTC, spans are seconds."""

    identity: Identity
    environment: str
    day: str
    run_id: str
    engine: str
    started_at: datetime
    finished_at: datetime
    rows_in: int
    rows_out: int
    rows_rejected: int
    rejected: list[RejectedRule] = Field(default_factory=list)
    model_seconds: float = Field(description="Time that the model's calls took.")
    scoring_seconds: float = Field(
        default=0.0, description="Time that reading, checking, calling and writing took, over all units."
    )
    input_path: str
    input_files: list[InputFile]
    input_digest: str
    output_files: list[OutputFile]
    output_digest: str

    def encoded(self) -> bytes:
        """Return the manifest as it is written."""
        return self.model_dump_json(by_alias=True, indent=1).encode() + b"\n"


def decoded(content: bytes) -> Manifest | None:
    """Return the manifest in a file's content, or ``None`` if it is none that this version of the toolkit can read."""
    try:
        return Manifest.model_validate_json(content)
    except ValidationError:
        return None


def digest_of(parts: Iterable[tuple[str, str]]) -> str:
    """Return the digest of files given as (name, digest): SHA-256 over ``<digest>  <name>\\n`` in the order given."""
    summary = hashlib.sha256()
    for name, digest in parts:
        summary.update(f"{digest}  {name}\n".encode())
    return summary.hexdigest()


def spec_digest(spec: ModelSpec) -> str:
    """Return the digest of what a ``model.yaml`` says about the content of a partition."""
    assert spec.batch is not None
    told = {"input", "output", "partition", "keys", "chunk_rows"}
    text = spec.batch.model_dump_json(include=told) + spec.schema_.model_dump_json()
    return hashlib.sha256(text.encode()).hexdigest()
