"""What the scanner finds and how fast, beside plain Presidio; and what redaction adds to a line of log."""

import argparse
import io
import logging
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import pandas as pd

from benchmarks import report
from benchmarks.pii import labelled, peers
from mlplatform.pii import scan_frame
from mlplatform.pii.columns import Reader
from mlplatform.pii.detectors import Text
from mlplatform.pii.findings import THRESHOLD
from mlplatform.pii.language import PresidioDetector
from mlplatform.pii.patterns import entities_in
from mlplatform.pii.prose import kinds_in
from mlplatform.redaction.logging import JsonFormatter, RedactingFilter

KINDS = tuple(labelled.SENTENCE_KINDS)
CERTAIN = "PERSON, certain"
Tally = dict[str, Counter[str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    sentences, rows, table = (30, 20, 100) if quick else (200, 30, 300)
    raw: dict[str, Any] = {}
    lines: list[tuple[str, ...]] = []
    lines += _quality("sentences", raw, lambda locale: _sentences(locale, sentences))
    lines += _unlabelled(raw)
    lines += _quality("columns", raw, lambda locale: _columns(locale, rows))
    lines += _speed(raw, table, quick=quick)
    lines += _logging(raw, 2_000 if quick else 10_000)
    report.write(
        "pii",
        title="Personal data: what is found, and how fast",
        command="python -m benchmarks.pii",
        header=("what", "ours", "plain Presidio"),
        rows=lines,
        notes=f"Recall / precision. {sentences} sentences a locale from presidio-evaluator's templates (English sentences with "
        "the locale's people of its list and Faker's values), where a kind counts once a sentence and wherever it is said: a "
        "street that is taken for a person counts for the person who lives there. **Held out**: the rules for "
        "sentences were made with every other template, and with the people of en_US and de_DE; the table shows the other "
        f"templates only, and the other locales were not looked at. Columns of {rows} Faker values under a name that says "
        "something and one that does not, beside ten columns a locale without personal data. Both sides have the same small "
        f"English model, and an answer counts from a score of {peers.LEAST} on; a column is what the gate would say of it, and "
        f"for plain Presidio what {peers.SHARE:.0%} of its values hold. In sentences ours reports single names as less certain "
        f"than a gate asks for ({THRESHOLD}): `{CERTAIN}` counts only what a gate counts, beside all that plain Presidio says, "
        "which gives single words the same score. spaCy's example sentences, in many languages, are not labelled; few of them "
        "are about a person. Plain Presidio has no kind STREET_ADDRESS. A dash: nothing of that kind in the data, or nothing "
        "said. Times are CPU time of one process, since others shared the machine.",
        raw=raw,
    )


def _quality(what: str, raw: dict[str, Any], measure: Callable[[str], tuple[Tally, Tally]]) -> list[tuple[str, ...]]:
    lines = []
    for locale in labelled.NAME_SETS if what == "sentences" else labelled.LOCALES:
        ours, plain = measure(locale)
        raw[f"{what} {locale}"] = {"ours": ours, "plain": plain}
        for kind in ours:
            if ours[kind]["present"] or ours[kind]["wrong"] or plain[kind]["wrong"]:
                lines.append((f"{what}, {locale}, {kind}", _told(ours[kind]), _told(plain[kind])))
    return lines


def _told(tally: Counter[str]) -> str:
    recall = f"{tally['right'] / tally['present']:.0%}" if tally["present"] else "–"
    answered = tally["right"] + tally["wrong"]
    return f"{recall} / {tally['right'] / answered:.0%}" if answered else f"{recall} / –"


def _count(tally: Tally, kinds: Iterable[str], present: set[str], said: set[str]) -> None:
    for kind in kinds:
        counts = tally[kind]
        counts["present"] += kind in present
        counts["right"] += kind in present and kind in said
        counts["wrong"] += kind not in present and kind in said


def _sentences(locale: str, count: int) -> tuple[Tally, Tally]:
    both = (*KINDS, CERTAIN)
    ours: Tally = {kind: Counter() for kind in both}
    plain: Tally = {kind: Counter() for kind in both}
    samples = labelled.sentences(locale, count)
    read = kinds_in(PresidioDetector(), [Text(text) for text, _ in samples])
    for (text, present), told in zip(samples, read, strict=True):
        for kind, score in entities_in(text).items():
            told[kind] = max(score, told.get(kind, 0))
        said = {kind for kind, score in told.items() if score >= peers.LEAST}
        said_plain = peers.plain_kinds(text)
        for tally, answer in ((ours, said), (plain, said_plain)):
            _count(tally, KINDS, present, answer)
        if "PERSON" in present:
            present.add(CERTAIN)
        _count(ours, [CERTAIN], present, {CERTAIN} if told.get("PERSON", 0) >= THRESHOLD else set())
        _count(plain, [CERTAIN], present, {CERTAIN} if "PERSON" in said_plain else set())
    return ours, plain


def _unlabelled(raw: dict[str, Any]) -> list[tuple[str, ...]]:
    """Count the sentences about nobody in particular that are said to hold a person."""
    texts = labelled.examples()
    read = [told.get("PERSON", 0.0) for told in kinds_in(PresidioDetector(), [Text(text) for text in texts])]
    plain = sum("PERSON" in peers.plain_kinds(text) for text in texts) / len(texts)
    certain, told = (sum(score >= least for score in read) / len(texts) for least in (THRESHOLD, peers.LEAST))
    raw["examples"] = {"sentences": len(texts), "certain": certain, "told": told, "plain": plain}
    return [
        (
            f"{len(texts)} example sentences of spaCy, said to hold a PERSON: certain / at all",
            f"{certain:.0%} / {told:.0%}",
            f"– / {plain:.0%}",
        )
    ]


def _columns(locale: str, rows: int) -> tuple[Tally, Tally]:
    data, labels = labelled.columns(locale, rows)
    scan = scan_frame(pd.DataFrame(data), "t")
    ours: Tally = {kind: Counter() for kind in KINDS}
    plain: Tally = {kind: Counter() for kind in KINDS}
    said_plain = peers.plain_columns(data)
    for column in data:
        present = {labels[column]} if column in labels else set()
        said = {finding.entity for finding in scan.findings if finding.certain and finding.location == f"t.{column}"}
        _count(ours, KINDS, present, said)
        _count(plain, KINDS, present, said_plain[column])
    return ours, plain


def _table(rows: int) -> dict[str, list[str]]:
    """Return a table as there are many: people, what they wrote, codes, and categories that repeat."""
    from faker import Faker

    faker = Faker("en_US")
    faker.seed_instance(2)
    plain_texts = [faker.sentence(9) for _ in range(40)]
    return {
        "customer": [faker.name() for _ in range(rows)],
        "email": [faker.email() for _ in range(rows)],
        "phone": [faker.phone_number() for _ in range(rows)],
        "card": [faker.credit_card_number("visa") for _ in range(rows)],
        "comment": [
            f"{faker.name()} called about order {faker.random_int()} again"
            if index % 4 == 0
            else plain_texts[index % 40]
            for index in range(rows)
        ],
        "country": [faker.random_element(("United States", "Germany", "France", "Spain")) for _ in range(rows)],
        "status": [faker.random_element(("shipped", "paid", "open", "returned")) for _ in range(rows)],
        "ordered": [faker.date() for _ in range(rows)],
        "amount": [f"{faker.pyfloat(min_value=1, max_value=900, right_digits=2)}" for _ in range(rows)],
        "reference": [faker.uuid4() for _ in range(rows)],
    }


def _speed(raw: dict[str, Any], rows: int, *, quick: bool) -> list[tuple[str, ...]]:
    data = _table(rows)
    frame = pd.DataFrame(data)
    scan_frame(frame.head(20), "warm")
    peers.plain_columns({name: values[:2] for name, values in data.items()})
    started = time.process_time()
    said_plain = peers.plain_columns(data, share=0.05)
    plain_seconds = time.process_time() - started
    sampled, scan = _timed(lambda: scan_frame(frame, "t"))
    full, scan_full = _timed(lambda: scan_frame(frame, "t", Reader(most=None)))
    comparable = {"PERSON", "EMAIL_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD", "IBAN_CODE", "US_SSN", "IP_ADDRESS"}
    truth = {
        "customer": "PERSON",
        "email": "EMAIL_ADDRESS",
        "phone": "PHONE_NUMBER",
        "card": "CREDIT_CARD",
        "comment": "PERSON",
    }
    lost = {}
    for name, made in (("sampled", scan), ("full", scan_full)):
        ours = {(finding.location[2:], finding.entity) for finding in made.findings if finding.certain}
        lost[name] = [pair for pair in truth.items() if pair[1] in said_plain[pair[0]] and pair not in ours]
    false_plain = sum(len(kinds & comparable - {truth.get(column)}) for column, kinds in said_plain.items())
    false_ours = sum(
        (finding.location[2:], finding.entity) not in truth.items() for finding in scan.findings if finding.certain
    )
    raw["speed"] = {"rows": rows, "plain": plain_seconds, "sampled": sampled, "full": full, "lost": lost}
    cells = rows * len(data)
    size = f"{rows:,} rows × {len(data)} columns"
    large_rows = 20_000 if quick else 100_000
    large = pd.concat([frame] * (large_rows // rows + 1)).head(large_rows)
    large_seconds, _ = _timed(lambda: scan_frame(large, "t"), rounds=1)
    raw["speed"]["large"] = {"rows": large_rows, "seconds": large_seconds}
    return [
        (
            f"CPU time, {size}",
            f"{sampled:.2f} s ({plain_seconds / sampled:.0f}×)",
            f"{plain_seconds:.1f} s ({cells / plain_seconds:.0f} cells/s)",
        ),
        (f"CPU time, {size}, all text read (`--full`)", f"{full:.2f} s ({plain_seconds / full:.0f}×)", ""),
        (
            "right findings of plain Presidio that are lost, sampled / full",
            f"{len(lost['sampled'])} / {len(lost['full'])} of {len(truth)}",
            "",
        ),
        ("wrong findings, of the seven kinds that both have", str(false_ours), str(false_plain)),
        (f"CPU time, {large_rows:,} rows × {len(data)} columns, sampled", f"{large_seconds:.1f} s", ""),
    ]


def _timed(work: Callable[[], Any], rounds: int = 3) -> tuple[float, Any]:
    seconds = []
    result = None
    for _ in range(rounds):
        started = time.process_time()
        result = work()
        seconds.append(time.process_time() - started)
    return statistics.median(seconds), result


def _logging(raw: dict[str, Any], count: int) -> list[tuple[str, ...]]:
    messages = [
        "epoch 3 of 10: loss 0.6931 after 128 steps",
        "GET /v2/models/wine/infer 200 in 12.4 ms from 10.0.0.7",
        "customer ada@example.com has order 4711, call +49 30 1234567",
    ]
    seconds: dict[str, list[float]] = {"plain": [], "json": [], "redacted": []}
    for _ in range(5):
        for name, times in seconds.items():
            logger = logging.Logger(name)
            handler = logging.StreamHandler(io.StringIO())
            if name == "plain":
                handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
            else:
                handler.setFormatter(JsonFormatter("bench"))
            if name == "redacted":
                handler.addFilter(RedactingFilter())
            logger.addHandler(handler)
            started = time.process_time()
            for index in range(count):
                logger.info(messages[index % 3])
            times.append((time.process_time() - started) / count * 1e6)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    raw["logging"] = seconds
    added = medians["redacted"] - medians["json"]
    return [
        (
            "a line of log: redacted JSON / JSON alone / plain text",
            f"{medians['redacted']:.0f} µs / {medians['json']:.0f} µs / {medians['plain']:.0f} µs, redaction adds {added:.0f} µs",
            "",
        )
    ]


if __name__ == "__main__":
    main()
