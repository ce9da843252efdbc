"""Write the attestations under ``tests/assets/attestations``: one file for each way an envelope can be wrong.

Run ``python tests/mlplatform/attest/make_assets.py`` after a change of the format. A file lies in the folder named for the
error code that it must end in, and is itself named for its fault; ``valid/`` holds those that must be accepted. The keys
are made from fixed seeds and protect nothing.
"""

import base64
import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mlplatform.attest.dsse import PAYLOAD_TYPE, sign
from mlplatform.attest.keys import SigningKey
from mlplatform.attest.statement import Subject, build_statement
from mlplatform.gates.result import Check, Gate, GateResult, Outcome

FOLDER = Path(__file__).parents[2] / "assets" / "attestations"
BOUND = SigningKey(Ed25519PrivateKey.from_private_bytes(b"bound to a principal, fixed seed"))
STRANGER = SigningKey(Ed25519PrivateKey.from_private_bytes(b"nobody bound this one, seed too."))
DIGEST = "5f" * 32
REPOSITORY = "git.example/risk/wine"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
SUBJECT = Subject("wine", DIGEST, REPOSITORY, COMMIT, lock_digest="1c" * 32, spec_digest="5c" * 32)
ANNOTATIONS = {"repository": REPOSITORY, "commit": COMMIT, "lockSha256": "1c" * 32, "specSha256": "5c" * 32}


def gate_result(outcome: Outcome = Outcome.PASSED, gate: Gate = Gate.THRESHOLDS) -> GateResult:
    check = Check(name="thresholds.roc_auc.minimum", outcome=outcome, observed="0.97", limit=">= 0.9", message="held")
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    return GateResult(gate=gate, outcome=outcome, summary="1 of 1 held", checks=[check], started_at=at, finished_at=at)


def statement(**changes: Any) -> dict[str, Any]:
    built = build_statement(gate_result(), SUBJECT)
    return {**built, **changes}


def signed_bytes(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> dict[str, Any]:
    """An envelope around anything, with a signature that verifies."""
    message = b"DSSEv1 %d %s %d %s" % (len(payload_type), payload_type.encode(), len(payload), payload)
    signature = {"keyid": BOUND.keyid, "sig": base64.b64encode(BOUND.sign(message)).decode()}
    return {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": payload_type,
        "signatures": [signature],
    }


def changed(**changes: Any) -> dict[str, Any]:
    return {**sign(statement(), BOUND), **changes}


def with_subject(**changes: Any) -> dict[str, Any]:
    subject = {**statement()["subject"][0], **changes}
    return sign(statement(subject=[{key: value for key, value in subject.items() if value is not None}]), BOUND)


def with_predicate(**changes: Any) -> dict[str, Any]:
    predicate = {**statement()["predicate"], **changes}
    return sign(statement(predicate={key: value for key, value in predicate.items() if value is not None}), BOUND)


def envelopes() -> dict[str, dict[str, Any] | bytes]:
    good = sign(statement(), BOUND)
    signature = good["signatures"][0]
    by_stranger = sign(statement(), STRANGER)["signatures"][0]
    other = sign(statement(subject=[{**statement()["subject"][0], "digest": {"sha256": "60" * 32}}]), BOUND)
    result = gate_result().model_dump(mode="json", by_alias=True)
    text = json.dumps(good)
    return {
        "valid/plain": good,
        "valid/extra-signature-of-an-unknown-key": {**good, "signatures": [by_stranger, signature]},
        "valid/unknown-members-are-ignored": with_predicate(gateResult={**result, "addedLater": 1}, more=True),
        "malformed/empty": b"",
        "malformed/not-json": b"-----BEGIN PGP MESSAGE-----",
        "malformed/cut-off": text[: len(text) // 2].encode(),
        "malformed/an-array": b"[]",
        "malformed/member-twice": f'{text[:-1]}, "payload": "e30="}}'.encode(),
        "malformed/nested-too-deep": b"[" * 5000 + b"]" * 5000,
        "malformed/payload-missing": {k: v for k, v in good.items() if k != "payload"},
        "malformed/payload-is-a-number": changed(payload=7),
        "malformed/payload-not-base64": changed(payload="%%%"),
        "malformed/payload-in-a-second-spelling-of-base64": changed(payload=f"{good['payload'].rstrip('=')}===="),
        "malformed/signatures-missing": {k: v for k, v in good.items() if k != "signatures"},
        "malformed/signatures-empty": changed(signatures=[]),
        "malformed/signature-twice": changed(signatures=[signature, signature]),
        "malformed/seventeen-signatures": changed(
            signatures=[signature, *({**by_stranger, "keyid": f"{n:064x}"} for n in range(16))]
        ),
        "malformed/signature-cut-off": changed(signatures=[{**signature, "sig": signature["sig"][:40]}]),
        "malformed/keyid-missing": changed(signatures=[{"sig": signature["sig"]}]),
        "malformed/keyid-in-capitals": changed(signatures=[{**signature, "keyid": signature["keyid"].upper()}]),
        "malformed/payload-not-json": signed_bytes(b"\xff\xfe"),
        "malformed/payload-with-nan": signed_bytes(b'{"_type": NaN}'),
        "malformed/statement-v0.1": sign(statement(_type="https://in-toto.io/Statement/v0.1"), BOUND),
        "malformed/predicate-missing": sign(statement(predicate=None), BOUND),
        "malformed/gate-result-missing": with_predicate(gateResult=None),
        "malformed/gate-unknown": with_predicate(gateResult={**result, "gate": "goodwill"}),
        "malformed/gate-of-another-predicate": with_predicate(gateResult={**result, "gate": "sbom"}),
        "malformed/passed-with-a-failed-check": with_predicate(
            gateResult={**result, "checks": [{**result["checks"][0], "outcome": "failed"}]}
        ),
        "malformed/test-result-contradicts-the-outcome": with_predicate(result="FAILED"),
        "wrong_payload_type/plain-json": signed_bytes(b"{}", "application/json"),
        "unknown_key/signed-by-a-key-nobody-bound": sign(statement(), STRANGER),
        "bad_signature/payload-changed-after-signing": {**other, "signatures": good["signatures"]},
        "bad_signature/keyid-of-a-bound-key-signature-of-another": changed(
            signatures=[{**by_stranger, "keyid": BOUND.keyid}]
        ),
        "bad_signature/over-the-payload-alone": changed(
            signatures=[
                {
                    **signature,
                    "sig": base64.b64encode(BOUND.sign(base64.b64decode(good["payload"]))).decode(),
                }
            ]
        ),
        "wrong_subject/none": sign(statement(subject=[]), BOUND),
        "wrong_subject/two": sign(statement(subject=statement()["subject"] * 2), BOUND),
        "wrong_subject/without-digest": with_subject(digest={}),
        "wrong_subject/digest-in-capitals": with_subject(digest={"sha256": "5F" * 32}),
        "wrong_subject/digest-too-short": with_subject(digest={"sha256": "5f" * 20}),
        "wrong_subject/without-repository": with_subject(annotations={**ANNOTATIONS, "repository": None}),
        "wrong_subject/without-annotations": with_subject(annotations=None),
        "wrong_subject/without-the-lock": with_subject(annotations={**ANNOTATIONS, "lockSha256": None}),
        "wrong_subject/model-yaml-in-capitals": with_subject(annotations={**ANNOTATIONS, "specSha256": "5C" * 32}),
        "malformed/not-evaluated-with-a-failed-check": sign(
            build_statement(gate_result(Outcome.FAILED).model_copy(update={"outcome": Outcome.NOT_EVALUATED}), SUBJECT),
            BOUND,
        ),
        "wrong_subject/without-name": with_subject(name=None),
        "unknown_predicate/of-another-tool": sign(statement(predicateType="https://example.com/goodwill/v1"), BOUND),
    }


def files() -> dict[str, bytes]:
    """What the folder must hold: path below it to content."""
    return {
        f"{name}.dsse.json": content if isinstance(content, bytes) else (json.dumps(content, indent=1) + "\n").encode()
        for name, content in copy.deepcopy(envelopes()).items()
    }


if __name__ == "__main__":
    for stale in FOLDER.rglob("*.dsse.json"):
        stale.unlink()
    for name, content in files().items():
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
