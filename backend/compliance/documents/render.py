"""Model card and technical file as Markdown."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from backend.compliance.documents.facts import Record
from mlplatform.spec.model import Slice


class Document(StrEnum):
    """The documents that there are."""

    MODEL_CARD = "model-card"
    TECHNICAL_FILE = "technical-file"


_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|])")


def render(document: Document, record: Record) -> str:
    """Return a document about a version.

    Model card: the sections of Mitchell et al., "Model Cards for Model Reporting" (2019). Technical file: Annex IV of
    Regulation (EU) 2024/1689; what is not on record is said to be missing rather than left out.
    """
    environment = Environment(  # noqa: S701 (Markdown, with a filter of its own for what people wrote)
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_text,
    )
    environment.filters["part"] = _part
    text = environment.get_template(f"{document.value}.md.jinja").render(record=record)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _text(value: Any) -> str:
    """Write a value so that it can't be taken for Markdown or HTML: people and models chose it."""
    if value is None:
        return "—"
    if isinstance(value, float):
        return f"{value:.6g}"
    return _MARKDOWN.sub(r"\\\1", " ".join(str(value).split()))


def _part(of: Slice) -> str:
    """Return which rows a slice is, in words."""
    if of.equals is not None:
        return f"{of.column} is {of.equals}"
    if of.minimum is None:
        return f"{of.column} is below {of.maximum:g}"
    below = "" if of.maximum is None else f" and below {of.maximum:g}"
    return f"{of.column} is at least {of.minimum:g}{below}"
