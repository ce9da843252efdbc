"""An evidence pack of a year of a company's deployments: seconds and memory to export it, and to verify it offline."""

import argparse
import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from benchmarks import report

YEAR = datetime(2025, 1, 1, tzinfo=UTC)
MODELS = 200
TOGETHER = 50
GATES = ("schema", "thresholds", "pii", "sbom", "vulnerabilities", "provenance")


class YearClock:
    """A clock that the writer sets."""

    def __init__(self) -> None:
        self.moment = YEAR

    def now(self) -> datetime:
        return self.moment


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--deployments", type=int, help="20,000 by default")
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--export", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    count = options.deployments or (500 if options.quick else 20_000)
    # Each in a process of its own, started from one that stays small: a process is charged with its parent's memory.
    if options.write or options.export:
        print(json.dumps(write_year(options.write, count) if options.write else export(options.export)))
        return
    folder = Path(tempfile.mkdtemp(prefix="mlp-evidence-bench-"))
    try:
        raw = measure(folder, count)
    finally:
        shutil.rmtree(folder)
    rows = [
        (
            what,
            f"{raw[name]['seconds']:.1f} s",
            f"{raw[name]['processor']:.1f} s",
            f"{raw[name]['megabytes']:.0f} MB ({raw[name]['baseline']:.0f} MB before it begins)",
        )
        for what, name in (("export", "export"), ("verify, offline", "verify"))
    ]
    report.write(
        "evidence",
        title="Evidence packs",
        command="python -m benchmarks.evidence",
        header=("what", "by the clock", "processor time", "peak memory"),
        rows=rows,
        notes=f"{count:,} deployments of {MODELS} models in a year: {raw['events']:,} events, {raw['attestations']:,} signed "
        f"attestations, {raw['log_megabytes']:.0f} MB of SQLite; the pack has {raw['megabytes']:.0f} MB. One process each. "
        "Aims for the export: 60 s and 500 MB.",
        raw=raw,
    )


def measure(folder: Path, count: int) -> dict[str, Any]:
    """Write a year, then export and verify it in processes of their own."""
    own = [sys.executable, "-m", "benchmarks.evidence"]
    raw: dict[str, Any] = measured([*own, "--write", str(folder), "--deployments", str(count)])["output"]
    raw["export"] = measured([*own, "--export", str(folder)])
    said = raw["export"].pop("output")
    raw |= {"events": said["events"], "megabytes": (folder / "pack.zip").stat().st_size / 1e6}
    raw["export"] |= {name: said[name] for name in ("seconds", "processor", "baseline")}
    arguments = ["verify", str(folder / "pack.zip"), "--key", str(folder / "audit" / "key.pub"), "--json"]
    empty = measured([sys.executable, "-m", "evidence", "verify", "--help"])
    raw["verify"] = measured([sys.executable, "-m", "evidence", *arguments])
    said = raw["verify"].pop("output")
    raw["verify"]["baseline"] = empty["megabytes"]
    assert said["valid"], said["faults"]
    assert said["attestations"] == raw["attestations"]
    return raw


def measured(command: list[str]) -> dict[str, Any]:
    """Run a program; return how long it took and the most memory that it had at a time."""
    start = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        assert status == 0, command
        output.seek(0)
        text = output.read()
    return {
        "seconds": seconds,
        "processor": usage.ru_utime + usage.ru_stime,
        "megabytes": usage.ru_maxrss / 1024,
        "output": json.loads(text) if text.startswith(b"{") else None,
    }


def write_year(folder: Path, count: int) -> dict[str, Any]:
    """Fill a platform's database with a year of deployments."""
    from backend.attestations.models import AttestationRow
    from backend.audit.events import NewEvent
    from backend.audit.service import AuditService
    from backend.core.database import Database
    from backend.core.metrics import Metrics
    from backend.identity.models import SigningKeyRow
    from backend.migrations import upgrade
    from mlplatform.attest.keys import SigningKey

    database, clock = Database(f"sqlite:///{folder / 'platform.db'}"), YearClock()
    upgrade(database, folder)
    audit, signer = AuditService(database, clock, Metrics(), folder / "audit"), SigningKey.generate()
    with database.write() as session:
        public = base64.b64encode(signer.public_bytes).decode()
        session.add(
            SigningKeyRow(
                id="key", key_id=signer.keyid, public_key=public, principal="user:default/ada", principal_kind="user",
                repository="", created_at=YEAR,
            )
        )  # fmt: skip
    attestations = 0
    for first in range(0, count, TOGETHER):
        clock.moment = YEAR + timedelta(days=364) * (first / count)
        with database.write() as session:
            for number in range(first, min(first + TOGETHER, count)):
                model, version = f"model-{number % MODELS}", number // MODELS + 1
                stored, events = deployment(model, version, number, signer)
                attestations += len(stored)
                session.execute(insert(AttestationRow), stored)
                audit.append_many(session, [NewEvent(*one) for one in events])
    clock.moment = YEAR + timedelta(days=366)
    with database.write() as session:
        audit.append(session, type="ml-platform.evidence.pack.requested", subject="evidence:1", actor="user:default/op")
    database.close()
    return {"attestations": attestations, "log_megabytes": (folder / "platform.db").stat().st_size / 1e6}


def deployment(model: str, version: int, number: int, signer: Any) -> tuple[list[dict[str, Any]], list[Any]]:
    """Return the attestations of a version and all events of its deployment."""
    digest = hashlib.sha256(f"{model}/{version}".encode()).hexdigest()
    lineage = {
        "commit": digest[:40], "repository": f"github.com/acme/{model}", "dirty": False, "specDigest": digest,
        "data": [{"name": "train", "uri": "s3://lake/train", "rows": 1_000_000, "digest": {"sha256": digest}}],
    }  # fmt: skip
    author = f"user:default/engineer-{number % 40}"
    subject = f"model:{model}/versions/{version}"
    data = {"digest": digest, "bundle": digest, "lineage": lineage, "metrics": {"accuracy_score": 0.93}}
    events: list[Any] = [("ml-platform.registry.version.registered", subject, author, data)]
    stored = []
    for gate in GATES:
        text = envelope(digest, gate, signer)
        id = f"{number:08d}-{gate}"
        sha = hashlib.sha256(text.encode()).hexdigest()
        stored.append(
            {
                "id": id, "digest": digest, "gate": gate, "outcome": "passed", "model": model, "repository": "r", "commit": "c",
                "key_id": signer.keyid, "principal": author, "principal_kind": "user", "received_at": YEAR,
                "envelope": text, "envelope_digest": sha,
            }
        )  # fmt: skip
        said = {
            "attestation": id, "digest": digest, "gate": gate, "outcome": "passed", "summary": f"{gate} passed",
            "keyId": signer.keyid, "signer": author, "envelopeDigest": sha,
        }  # fmt: skip
        events.append(("ml-platform.attestations.attestation.recorded", f"model:{model}", author, said))
    id = f"deployment-{number}"
    about = {
        "deployment": id, "model": model, "version": version, "environment": "production", "digest": digest,
        "previousVersion": version - 1, "outcome": None,
    }  # fmt: skip
    steps = [
        ("deployment.requested", author, "awaiting_approval"),
        ("deployment.approved", f"user:default/engineer-{(number + 1) % 40}", "pending"),
        *[(f"rollout.step_{word}", "service:ml-platform", "progressing") for word in ("begun", "passed") * 4],
        *[("traffic.shifted", "service:ml-platform", "progressing")] * 3,
        ("rollout.promoted", "service:ml-platform", "promoting"),
        ("rollout.finished", "service:ml-platform", "completed"),
    ]
    for event, actor, phase in steps:
        outcome = "promoted" if phase in ("promoting", "completed") else None
        reason = "success rate 99.87 % >= 99 %, p99 31 ms <= 500 ms"
        said = {**about, "phase": phase, "outcome": outcome, "reason": reason}
        events.append((f"ml-platform.deployments.{event}", f"model:{model}/deployments/{id}", actor, said))
    return stored, events


def envelope(digest: str, gate: str, signer: Any) -> str:
    """Return a signed statement of the size that gates make."""
    checks = [{"name": f"{gate}.{number}", "outcome": "passed", "message": "looked at it"} for number in range(8)]
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "model", "digest": {"sha256": digest}, "annotations": {"commit": digest[:40]}}],
        "predicateType": "https://in-toto.io/attestation/test-result/v0.1",
        "predicate": {"result": "PASSED", "gateResult": {"gate": gate, "outcome": "passed", "checks": checks}},
    }
    payload, kind = json.dumps(statement).encode(), "application/vnd.in-toto+json"
    message = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload
    signature = {"keyid": signer.keyid, "sig": base64.b64encode(signer.sign(message)).decode()}
    document = {"payload": base64.b64encode(payload).decode(), "payloadType": kind, "signatures": [signature]}
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def export(folder: Path) -> dict[str, Any]:
    """Export the year as the platform does, in this process."""
    import resource

    from backend.app import build_services
    from backend.audit.reading import span
    from backend.core.clock import SystemClock
    from backend.core.config import Settings
    from backend.evidence.models import EvidencePack
    from backend.evidence.pack import Wanted, write_pack
    from backend.evidence.work import DatabaseSource

    settings = Settings.model_validate({"home": str(folder), "mlflow": {"embedded": False}})
    services = build_services(settings, SystemClock())
    baseline = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start, started = time.perf_counter(), time.process_time()
    since, until = YEAR, YEAR + timedelta(days=365)
    with services.database.read() as session:
        found = span(session, services.audit, since, until)
    pack = EvidencePack(since=since, until=until, control=None)
    source = DatabaseSource(services, found, pack)
    wanted = Wanted("http://platform.test", since, until, None, None, 25, None, services.clock.now())
    audit = services.audit
    write_pack(folder / "pack.zip", wanted, source, audit.verifier, audit.key.sign, lambda _: None)
    seconds, processor = time.perf_counter() - start, time.process_time() - started
    return {"events": found.last, "seconds": seconds, "processor": processor, "baseline": baseline}


if __name__ == "__main__":
    main()
