"""in-toto Statements (v1) about a model artefact: one gate's result, said about one digest.

The subject is the artefact; its annotations say which commit of which repository made it, and with which ``uv.lock`` and
``model.yaml``. A gate judges all of that together, so a statement can't be carried over to the same model with another
environment, other thresholds or from another repository. The predicate is a standard type with one more member,
``gateResult``, which other consumers ignore as in-toto's parsing rules ask for.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from mlplatform.attest.errors import AttestationInvalid
from mlplatform.gates.result import Gate, GateResult, Outcome

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
PREDICATE_TYPES: dict[Gate, str] = {
    Gate.SCHEMA: TEST_RESULT,
    Gate.THRESHOLDS: TEST_RESULT,
    Gate.PII: TEST_RESULT,
    Gate.SBOM: "https://cyclonedx.org/bom",
    Gate.VULNERABILITIES: "https://in-toto.io/attestation/vulns/v0.1",
    Gate.PROVENANCE: "https://slsa.dev/provenance/v1",
}
MAX_PAYLOAD_BYTES = 16 * 1024 * 1024
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_DEPTH = 100
_LOCK, _SPEC = "lockSha256", "specSha256"


@dataclass(frozen=True)
class Subject:
    """What a statement is about: an artefact, and what it was made from and judged by. Digests are SHA-256 in hex."""

    model: str
    digest: str
    repository: str
    commit: str
    lock_digest: str
    spec_digest: str


@dataclass(frozen=True)
class ParsedStatement:
    """What a well-formed statement says."""

    subject: Subject
    predicate_type: str
    gate_result: GateResult


def build_statement(gate_result: GateResult, subject: Subject, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the statement that a gate came out so for a subject.

    ``body`` is the predicate in its standard form, as the gate's module makes it; without it a test-result is made from the
    checks.

    Raises:
        ValueError: a digest is not one, or the gate's standard predicate needs a body.
    """
    for digest in (subject.digest, subject.lock_digest, subject.spec_digest):
        if not _SHA256.fullmatch(digest):
            raise ValueError(f"{digest!r} is not a SHA-256 digest in lower-case hex")
    predicate_type = PREDICATE_TYPES[gate_result.gate]
    if body is None:
        if predicate_type != TEST_RESULT:
            raise ValueError(f"the {gate_result.gate} gate's statement needs its {predicate_type} body")
        body = checks_predicate(gate_result)
    return {
        "_type": STATEMENT_TYPE,
        "subject": [
            {
                "name": subject.model,
                "digest": {"sha256": subject.digest},
                "annotations": {
                    "repository": subject.repository,
                    "commit": subject.commit,
                    _LOCK: subject.lock_digest,
                    _SPEC: subject.spec_digest,
                },
            }
        ],
        "predicateType": predicate_type,
        "predicate": {**body, "gateResult": gate_result.model_dump(mode="json", by_alias=True)},
    }


def checks_predicate(gate_result: GateResult, configuration: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Return a test-result predicate; what could not be evaluated is a warning there."""
    names = {outcome: [check.name for check in gate_result.checks if check.outcome is outcome] for outcome in Outcome}
    return {
        "result": _RESULTS[gate_result.outcome],
        "configuration": configuration or [],
        "passedTests": names[Outcome.PASSED],
        "warnedTests": names[Outcome.NOT_EVALUATED],
        "failedTests": names[Outcome.FAILED],
    }


_ORDER = (Outcome.PASSED, Outcome.NOT_EVALUATED, Outcome.FAILED)
_RESULTS = {Outcome.PASSED: "PASSED", Outcome.FAILED: "FAILED", Outcome.NOT_EVALUATED: "WARNED"}


def encode_statement(statement: dict[str, Any]) -> bytes:
    """Return a statement as the bytes that are signed; equal statements give equal bytes."""
    return json.dumps(statement, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def parse_statement(payload: bytes) -> ParsedStatement:
    """Read a statement that :func:`build_statement` may have made.

    Raises:
        AttestationInvalid: it is something else; the code is ``malformed``, ``wrong_subject`` or ``unknown_predicate``.
    """
    statement = strict_json(payload)
    if not isinstance(statement, dict):
        raise AttestationInvalid("the payload is not a JSON object")
    if statement.get("_type") != STATEMENT_TYPE:
        raise AttestationInvalid(f"the payload is not an in-toto statement ({STATEMENT_TYPE})")
    predicate_type = statement.get("predicateType")
    if predicate_type not in PREDICATE_TYPES.values():
        raise AttestationInvalid("the predicate type is none that a gate writes", code="unknown_predicate")
    subject = _subject(statement.get("subject"))
    predicate = statement.get("predicate")
    if not isinstance(predicate, dict):
        raise AttestationInvalid("the statement has no predicate")
    result = _gate_result(predicate.get("gateResult"))
    if PREDICATE_TYPES[result.gate] != predicate_type:
        raise AttestationInvalid(f"the predicate type does not belong to the gate {result.gate}")
    if predicate_type == TEST_RESULT and predicate.get("result") != _RESULTS[result.outcome]:
        raise AttestationInvalid("the test result and the gate's outcome contradict each other")
    return ParsedStatement(
        subject=subject,
        predicate_type=str(predicate_type),
        gate_result=result,
    )


def require_subject(said: Subject, wanted: Subject) -> None:
    """Hold a verified statement's subject against what it is presented for.

    Raises:
        AttestationInvalid: it is about something else (``wrong_subject``).
    """
    for what, one, other in (
        ("model", said.model, wanted.model),
        ("digest", said.digest, wanted.digest),
        ("repository", said.repository, wanted.repository),
        ("commit", said.commit, wanted.commit),
        ("uv.lock", said.lock_digest, wanted.lock_digest),
        ("model.yaml", said.spec_digest, wanted.spec_digest),
    ):
        if one != other:
            raise AttestationInvalid(
                f"the statement is about the {what} {one}, not about {other}", code="wrong_subject"
            )


def strict_json(text: bytes) -> Any:
    """Parse JSON that is to be trusted: UTF-8, no member twice, no NaN, bounded size and depth.

    Raises:
        AttestationInvalid: it isn't.
    """
    if len(text) > MAX_PAYLOAD_BYTES:
        raise AttestationInvalid(f"it is larger than {MAX_PAYLOAD_BYTES // 2**20} MiB")
    if _depth(text) > _MAX_DEPTH:
        raise AttestationInvalid(f"it is nested more than {_MAX_DEPTH} levels deep")
    try:
        return json.loads(text.decode("utf-8"), object_pairs_hook=_no_member_twice, parse_constant=_no_constant)
    except (UnicodeDecodeError, ValueError) as error:
        raise AttestationInvalid(f"it is not JSON: {_brief(error)}") from error


def _depth(text: bytes) -> int:
    """Return how deep the text is nested; the parser would meet the interpreter's recursion limit first."""
    depth = deepest = 0
    for bracket in re.finditer(rb'"(?:[^"\\]|\\.)*+"?|[\[{\]}]', text, re.DOTALL):
        character = bracket.group(0)[:1]
        if character in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in b"]}":
            depth -= 1
    return deepest


def _no_member_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("an object has the same member twice")
    return members


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")


def _brief(error: Exception) -> str:
    return str(error)[:120] if not isinstance(error, UnicodeDecodeError) else "not UTF-8"


def _subject(subjects: Any) -> Subject:
    if not isinstance(subjects, list) or len(subjects) != 1 or not isinstance(subjects[0], dict):
        raise AttestationInvalid("the statement must be about exactly one subject", code="wrong_subject")
    subject: dict[str, Any] = subjects[0]
    digest = subject.get("digest")
    if not isinstance(digest, dict) or not _is_sha256(digest.get("sha256")):
        raise AttestationInvalid("the subject has no sha256 digest", code="wrong_subject")
    given = subject.get("annotations")
    annotations: dict[str, Any] = given if isinstance(given, dict) else {}
    named = [subject.get("name"), *(annotations.get(key) for key in ("repository", "commit"))]
    if not all(isinstance(text, str) and 0 < len(text) <= 500 for text in named):
        raise AttestationInvalid(
            "the subject must have a name and the annotations repository and commit", code="wrong_subject"
        )
    if not all(_is_sha256(annotations.get(key)) for key in (_LOCK, _SPEC)):
        raise AttestationInvalid(
            f"the subject must have the annotations {_LOCK} and {_SPEC}, digests of uv.lock and model.yaml",
            code="wrong_subject",
        )
    return Subject(
        model=str(subject["name"]),
        digest=str(digest["sha256"]),
        repository=str(annotations["repository"]),
        commit=str(annotations["commit"]),
        lock_digest=str(annotations[_LOCK]),
        spec_digest=str(annotations[_SPEC]),
    )


def _is_sha256(value: Any) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def _gate_result(value: Any) -> GateResult:
    if not isinstance(value, dict):
        raise AttestationInvalid("the predicate has no gateResult")
    try:
        result = GateResult.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise AttestationInvalid(f"gateResult.{where}: {first['msg']}") from error
    combined = GateResult.combined(result.checks)
    if _ORDER.index(result.outcome) < _ORDER.index(combined):
        raise AttestationInvalid(f"gateResult says {result.outcome}, yet one of its checks says {combined}")
    return result
