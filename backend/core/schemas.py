"""What all request and response bodies share, and pagination by opaque cursor."""

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

import orjson
from fastapi import Depends, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from backend.core.errors import InvalidInput

Item = TypeVar("Item")
Row = TypeVar("Row")

LARGEST_PAGE = 500


def _no_nul(value: str) -> str:
    if "\x00" in value:
        raise ValueError("holds a NUL character")
    return value


NO_NUL = AfterValidator(_no_nul)
"""Comes after a text's other constraints: those behind it would speak of items instead of characters."""
PlainText = Annotated[str, NO_NUL]
"""Text that every database can hold: PostgreSQL refuses NUL characters."""


class Schema(BaseModel):
    """Base of response bodies: camelCase on the wire."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, from_attributes=True, serialize_by_alias=True
    )


class Payload(BaseModel):
    """Base of request bodies: camelCase on the wire, unknown members are errors."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class Page(Schema, Generic[Item]):
    """One page of a list; ask again with ``cursor=nextCursor`` for the one after."""

    items: list[Item]
    next_cursor: str | None = Field(default=None, description="Null on the last page.")


class PageRequest:
    """``?limit=50&cursor=...`` of a list."""

    def __init__(self, limit: int, cursor: str | None) -> None:
        self.limit = limit
        self._cursor = cursor

    def after(self, *types: type) -> tuple[Any, ...] | None:
        """Return the sort key of the last item seen, checked to have these types; ``None`` on the first page.

        A ``datetime`` is one with its offset from UTC.
        """
        if self._cursor is None:
            return None
        try:
            key = orjson.loads(base64.b64decode(self._cursor, altchars=b"-_", validate=True))
            on_the_wire = [str if kind is datetime else kind for kind in types]
            if not isinstance(key, list) or [type(part) for part in key] != on_the_wire:
                raise ValueError
            if any(isinstance(part, int) and abs(part) >= 2**63 for part in key):
                raise ValueError
            if any(isinstance(part, str) and "\x00" in part for part in key):
                raise ValueError
            return tuple(_moment(part) if kind is datetime else part for part, kind in zip(key, types, strict=True))
        except (ValueError, OverflowError, binascii.Error):
            raise InvalidInput("cursor: is none that this list gave out", fix="Start again without `cursor`.") from None

    def page(self, rows: Sequence[Row], key: Callable[[Row], Sequence[Any]], item: Callable[[Row], Item]) -> Page[Item]:
        """Make a page of rows, of which one more than ``limit`` was queried to see whether there are more."""
        shown = rows[: self.limit]
        more = len(rows) > self.limit
        cursor = base64.urlsafe_b64encode(orjson.dumps(list(key(shown[-1])))).decode() if more else None
        return Page(items=[item(row) for row in shown], next_cursor=cursor)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError
    return moment.astimezone(UTC)


async def _asked_for(
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="Most items on a page.")] = 50,
    cursor: Annotated[str | None, Query(max_length=1000, description="`nextCursor` of the page before.")] = None,
) -> PageRequest:
    return PageRequest(limit, cursor)


Paging = Annotated[PageRequest, Depends(_asked_for)]
"""Type of a route's parameter that gets the asked-for page."""


def utc(value: datetime) -> str:
    """Write a time as in RFC 3339, in UTC with microseconds, so that texts sort like times."""
    return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
