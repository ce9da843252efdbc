"""Whatever is done to a chain, the check says that something was done, and never says so of an untouched one."""

import random
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from backend.audit.chain import ChainCheck, Row
from backend.audit.events import NewEvent, canonical, chained, envelope
from backend.audit.models import GENESIS

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def chain(count: int, mark: str = "", first: int = 1, last_hash: str = GENESIS) -> list[Row]:
    rows: list[Row] = []
    for seq in range(first, first + count):
        document = envelope(NewEvent("t", f"s{seq}{mark}", "a"), id=f"id-{seq}{mark}", time=NOW, sequence=seq)
        text = canonical(document)
        hash = chained(last_hash, text)
        columns = (document["id"], document["type"], document["subject"], document["actor"], document["time"])
        rows.append((seq, *columns, text.decode(), last_hash, hash))
        last_hash = hash
    return rows


def suspicious(rows: list[Row], original: list[Row]) -> bool:
    """What :func:`backend.audit.verify.verify` asks, with the signed head of the original."""
    genuine = {row[0]: row[8] for row in original}
    check = ChainCheck(is_genuine=lambda seq, hash: genuine.get(seq) == hash)
    check.feed_all(rows)
    check.finish(original[-1][8])
    whole = check.last_sequence == len(original) and check.last_hash == original[-1][8]
    return bool(check.faults) or not whole


@given(st.integers(1, 12), st.data())
@settings(max_examples=400, deadline=None)
def test_any_change_is_found(count: int, data: st.DataObject) -> None:
    original = chain(count)
    assert not suspicious(original, original)
    rows = list(original)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, max(0, len(rows) - 1)))
        kind = data.draw(st.sampled_from(["column", "remove", "cut", "swap", "copy", "forge", "renumber"]))
        if not rows:
            break
        if kind == "column":
            column = data.draw(st.integers(1, 8))
            rows[at] = (*rows[at][:column], "x", *rows[at][column + 1 :])  # type: ignore[assignment]
        elif kind == "remove":
            del rows[at]
        elif kind == "cut":
            rows = rows[:at]
        elif kind == "swap":
            other = data.draw(st.integers(0, len(rows) - 1))
            one, two = rows[at], rows[other]
            rows[at], rows[other] = (one[0], *two[1:]), (two[0], *one[1:])
        elif kind == "copy":
            rows.insert(at, rows[data.draw(st.integers(0, len(rows) - 1))])
        elif kind == "forge":
            rows[at:] = chain(len(rows) - at, "forged", rows[at][0], rows[at - 1][8] if at else GENESIS)
        else:
            rows = [(number, *row[1:]) for number, row in enumerate(rows, start=1)]
    if rows != original:
        assert suspicious(rows, original), rows


def test_a_long_chain_with_one_change_names_exactly_that_row() -> None:
    original = chain(5000)
    generator = random.Random(7)
    for _ in range(20):
        at = generator.randrange(5000)
        rows = list(original)
        rows[at] = (*rows[at][:3], "other", *rows[at][4:])
        check = ChainCheck(is_genuine=lambda *_: None)
        check.feed_all(rows)
        check.finish(original[-1][8])
        assert [(fault.seq, fault.kind) for fault in check.faults] == [(at + 1, "edited")]
