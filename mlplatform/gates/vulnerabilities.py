"""The vulnerabilities gate: pip-audit on the locked dependencies.

Advisories come from PyPI, or from OSV where PyPI does not answer. A source is believed only after it has named the known
vulnerabilities of an old release: package mirrors answer 404 to all such questions, which pip-audit takes for "nothing
known". Where no source can be asked the result is not evaluated, never passed.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mlplatform.attest.digest import file_sha256
from mlplatform.gates.context import GateContext
from mlplatform.gates.locked import LockUnusable, Package, read_lock
from mlplatform.gates.recorder import Recorder, explain
from mlplatform.gates.result import Gate, GateResult, Reference
from mlplatform.redaction import redact

FILE = "vulnerabilities.json"
OSV_URL = "https://api.osv.dev/v1/query"
_PYPI_URL = "https://pypi.org/pypi"
# Known-vulnerable since 2018 (CVE-2018-18074); a source that finds nothing here is not one.
_CANARY = ("requests", "2.19.1")
_PROBE_TIMEOUT = 5.0
_REQUEST_TIMEOUT = 10
_AUDIT_TIMEOUT = 300.0


@dataclass(frozen=True)
class Source:
    """Where advisories come from."""

    name: Literal["pypi", "osv"]
    url: str


class _Unreachable(Exception):
    """A source can't be asked; the message says why."""


def sources() -> list[Source]:
    """Return the sources in the order they are tried.

    ``ML_PLATFORM_ADVISORY_SOURCES`` (``pypi,osv``) and ``ML_PLATFORM_OSV_URL`` (an OSV mirror) change them.
    """
    known = {
        "pypi": Source("pypi", _PYPI_URL),
        "osv": Source("osv", os.environ.get("ML_PLATFORM_OSV_URL", OSV_URL)),
    }
    chosen = os.environ.get("ML_PLATFORM_ADVISORY_SOURCES", "pypi,osv").split(",")
    return [known[name.strip()] for name in chosen if name.strip() in known]


def evaluate(context: GateContext) -> GateResult:
    """Ask the first source that answers about each locked dependency."""
    record = Recorder(Gate.VULNERABILITIES, context)
    record.tool("pip-audit")
    path = context.repository / "uv.lock"
    (context.build / FILE).unlink(missing_ok=True)
    try:
        packages = read_lock(path).packages
    except LockUnusable as error:
        record.failed("lock", str(error), limit="uv.lock")
        return record.finish("")
    record.against.append(Reference(name="uv.lock", digest={"sha256": file_sha256(path)}))
    asked = [package for package in packages if package.registry]
    other = [package.name for package in packages if not package.registry]
    if not asked:
        record.failed("lock", "uv.lock lists no dependency from a package index, so there is nothing to ask about")
        return record.finish("")
    reasons = []
    for source in sources():
        try:
            _probe(source)
            found = _audit(asked, source)
        except _Unreachable as error:
            reasons.append(f"{source.name}: {error}")
            continue
        _judge(record, found, source, len(asked))
        if other:
            record.passed("other", f"not from a package index, so no advisory can name them: {', '.join(other)}")
        _keep(context, source, found)
        return record.finish(f"no known vulnerability in {len(asked)} locked dependencies, says {source.name}")
    record.not_evaluated(
        "advisories",
        f"no advisory source can be asked ({'; '.join(reasons) or 'none is configured'})",
        limit="PyPI or OSV",
    )
    return record.finish("")


def body(result: GateResult, context: GateContext) -> dict[str, Any]:
    """Return the predicate of the statement about the result (in-toto's vulns v0.1)."""
    from importlib.metadata import version

    try:
        kept = json.loads((context.build / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        kept = {"source": None, "found": []}
    return {
        "scanner": {
            "uri": f"pkg:pypi/pip-audit@{version('pip-audit')}",
            "version": version("pip-audit"),
            "db": {"uri": kept["source"]} if kept["source"] else {},
            "result": [
                {
                    "id": found["id"],
                    "severity": [],
                    "annotations": [
                        {"package": found["package"], "version": found["version"], "fixed": found["fixed"]}
                    ],
                }
                for found in kept["found"]
            ],
        },
        "metadata": {
            "scanStartedOn": result.started_at.isoformat(),
            "scanFinishedOn": result.finished_at.isoformat(),
        },
    }


def _judge(record: Recorder, found: list[dict[str, Any]], source: Source, count: int) -> None:
    for vulnerability in found:
        aliases = f" ({', '.join(vulnerability['aliases'])})" if vulnerability["aliases"] else ""
        fixed = ", ".join(vulnerability["fixed"])
        record.failed(
            f"{vulnerability['package']}.{vulnerability['id']}",
            f"{vulnerability['package']} {vulnerability['version']} has {vulnerability['id']}{aliases}; "
            f"{f'fixed in {fixed}' if fixed else 'no fixed version yet'}; severity unknown",
            observed=vulnerability["version"],
            limit=f"fixed in {fixed}" if fixed else "no fixed version yet",
        )
    if not found:
        record.passed(
            "advisories", f"{source.name} knows no vulnerability of {count} locked dependencies", observed=source.url
        )


def _probe(source: Source) -> None:
    """Make sure that a source answers and knows what everybody knows."""
    import httpx

    name, version = _CANARY
    try:
        if source.name == "pypi":
            answer = httpx.get(f"{source.url}/{name}/{version}/json", timeout=_PROBE_TIMEOUT, follow_redirects=True)
            known = answer.json().get("vulnerabilities") if answer.status_code == 200 else None
        else:
            query = {"package": {"name": name, "ecosystem": "PyPI"}, "version": version}
            answer = httpx.post(source.url, json=query, timeout=_PROBE_TIMEOUT)
            known = answer.json().get("vulns") if answer.status_code == 200 else None
    except httpx.HTTPError as error:
        raise _Unreachable(f"{httpx.URL(source.url).host} does not answer ({type(error).__name__})") from error
    except (ValueError, AttributeError) as error:
        raise _Unreachable(f"{httpx.URL(source.url).host} does not answer with JSON") from error
    if answer.status_code != 200:
        raise _Unreachable(f"{httpx.URL(source.url).host} serves no advisories (HTTP {answer.status_code})")
    if not known:
        raise _Unreachable(f"{httpx.URL(source.url).host} does not know of {name} {version}, so it has no advisories")


def _audit(packages: list[Package], source: Source) -> list[dict[str, Any]]:
    """Run pip-audit; all packages must have been looked up, or the source counts as unreachable."""
    with tempfile.TemporaryDirectory(prefix="mlplatform-audit-") as folder:
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text("".join(f"{package.name}=={package.version}\n" for package in packages))
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip_audit", "--requirement", str(requirements), "--no-deps", "--disable-pip"]
        command += ["--format", "json", "--aliases", "on", "--progress-spinner", "off", "--output", str(report)]
        command += ["--vulnerability-service", source.name, "--timeout", str(_REQUEST_TIMEOUT)]
        command += ["--cache-dir", str(Path(folder) / "cache")]
        if source.name == "osv":
            command += ["--osv-url", source.url]
        started = time.monotonic()
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_AUDIT_TIMEOUT, check=False)
            dependencies = json.loads(report.read_text(encoding="utf-8"))["dependencies"]
        except subprocess.TimeoutExpired as error:
            raise _Unreachable(f"no full answer within {time.monotonic() - started:.0f} s") from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            last = (done.stderr.strip().splitlines() or [explain(error)])[-1]
            raise _Unreachable(f"pip-audit gave no report: {redact(last[:200])}") from error
    skipped = [dependency["name"] for dependency in dependencies if "skip_reason" in dependency]
    if skipped or len(dependencies) != len({package.name for package in packages}):
        missing = ", ".join(sorted(skipped)[:5]) or "some"
        raise _Unreachable(f"{len(skipped)} of {len(packages)} packages were not looked up ({missing})")
    return [
        {
            "package": dependency["name"],
            "version": dependency["version"],
            "id": vulnerability["id"],
            "aliases": vulnerability.get("aliases", []),
            "fixed": vulnerability.get("fix_versions", []),
        }
        for dependency in dependencies
        for vulnerability in dependency["vulns"]
    ]


def _keep(context: GateContext, source: Source, found: list[dict[str, Any]]) -> None:
    path = context.build / FILE
    path.write_text(json.dumps({"source": source.url, "found": found}, indent=2) + "\n", encoding="utf-8")
