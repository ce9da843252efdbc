"""SBOM, vulnerabilities and provenance of a repository with a lock that uv wrote."""

import json
import shutil
import socket
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

from mlplatform.attest.dsse import sign, verify
from mlplatform.attest.keys import SigningKey
from mlplatform.attest.statement import Subject, build_statement
from mlplatform.gates import provenance, sbom, vulnerabilities
from mlplatform.gates.locked import LockUnusable, read_lock
from mlplatform.gates.result import Outcome

from .conftest import write_training_record

OWN_LOCK = Path(__file__).parents[3] / "uv.lock"
LOCK = """
version = 1
requires-python = ">=3.11"

[[package]]
name = "wine"
version = "0.1.0"
source = { editable = "." }
dependencies = [
    { name = "requests", extra = ["socks"] },
    { name = "toolkit" },
    { name = "colorama", marker = "sys_platform == 'win32'" },
]

[package.dev-dependencies]
dev = [{ name = "pytest" }]

[[package]]
name = "requests"
version = "2.19.1"
source = { registry = "https://pypi.org/simple" }
dependencies = [{ name = "idna" }]
wheels = [{ url = "https://example.com/r.whl", hash = "sha256:HEX" }]

[package.optional-dependencies]
socks = [{ name = "pysocks" }]

[[package]]
name = "idna"
version = "2.7"
source = { registry = "https://pypi.org/simple" }

[[package]]
name = "pysocks"
version = "1.7.1"
source = { registry = "https://pypi.org/simple" }

[[package]]
name = "pytest"
version = "9.0.0"
source = { registry = "https://pypi.org/simple" }

[[package]]
name = "colorama"
version = "0.4.6"
source = { registry = "https://pypi.org/simple" }

[[package]]
name = "toolkit"
version = "1.0"
source = { path = "vendor/toolkit-1.0-py3-none-any.whl" }
""".replace("HEX", "ab" * 32)


@pytest.fixture
def locked(repository):
    (repository / "uv.lock").write_text(LOCK)
    write_training_record(repository)
    return repository


class TestLock:
    def test_what_runs_here_is_listed_and_nothing_else(self, locked):
        lock = read_lock(locked / "uv.lock")
        assert [package.name for package in lock.packages] == ["idna", "pysocks", "requests", "toolkit"]
        assert lock.direct == ("requests", "toolkit")
        requests = lock.packages[2]
        assert (requests.purl, requests.sha256) == ("pkg:pypi/requests@2.19.1", "ab" * 32)
        assert requests.requires == ("idna", "pysocks")
        assert not lock.packages[3].registry

    def test_a_real_lock_is_walked(self):
        names = {package.name for package in read_lock(OWN_LOCK).packages}
        assert {"mlflow", "pip-audit", "numpy", "uvloop"} <= names
        assert not {"pytest", "hypothesis", "mkdocs"} & names

    @pytest.mark.parametrize("content", [None, "", "not toml =", "package = 3", "[[package]]\nversion = '1'", "\x00"])
    def test_a_missing_or_damaged_lock_says_what_to_do(self, tmp_path, content):
        if content is not None:
            (tmp_path / "uv.lock").write_text(content)
        if content == "":
            assert read_lock(tmp_path / "uv.lock").packages == ()
        else:
            with pytest.raises(LockUnusable, match="uv lock"):
                read_lock(tmp_path / "uv.lock")


class TestSbom:
    def test_the_bom_is_valid_and_describes_the_model(self, context_of, locked):
        context = context_of()
        result = sbom.evaluate(context)
        assert result.outcome is Outcome.PASSED, result.summary
        document = json.loads((locked / "build" / "sbom.cdx.json").read_text())
        assert sbom.validate(document) == []
        model = document["components"][0]
        card = model["modelCard"]
        assert model["type"] == "machine-learning-model"
        assert card["modelParameters"]["task"] == "classification"
        assert card["modelParameters"]["inputs"][0] == {"format": "alcohol: double"}
        assert card["modelParameters"]["datasets"][0]["classification"] == "internal"
        assert card["quantitativeAnalysis"]["performanceMetrics"] == [{"type": "accuracy", "value": "0.97"}]
        edges = {edge["ref"]: edge["dependsOn"] for edge in document["dependencies"]}
        assert edges[model["bom-ref"]] == ["pkg:pypi/requests@2.19.1", "pkg:pypi/toolkit@1.0"]
        assert edges["pkg:pypi/requests@2.19.1"] == ["pkg:pypi/idna@2.7", "pkg:pypi/pysocks@1.7.1"]

    def test_the_library_itself_reads_the_bom(self, context_of, locked):
        from cyclonedx.model.bom import Bom

        sbom.evaluate(context_of())
        document = json.loads((locked / "build" / "sbom.cdx.json").read_text())
        assert {component.name for component in Bom.from_json(document).components} >= {"wine", "requests", "idna"}

    def test_the_same_artefact_gives_the_same_bytes(self, context_of, locked):
        sbom.evaluate(context_of())
        first = (locked / "build" / "sbom.cdx.json").read_bytes()
        sbom.evaluate(context_of())
        assert (locked / "build" / "sbom.cdx.json").read_bytes() == first

    def test_the_platforms_own_lock(self, context_of, locked):
        shutil.copy(OWN_LOCK, locked / "uv.lock")
        assert sbom.evaluate(context_of()).outcome is Outcome.PASSED

    @pytest.mark.parametrize("broken", ["lock", "empty lock", "model"])
    def test_what_is_missing_fails_and_leaves_no_old_bom(self, context_of, locked, broken):
        context = context_of()
        sbom.evaluate(context)
        if broken == "model":
            shutil.rmtree(locked / "build" / "model")
        elif broken == "lock":
            (locked / "uv.lock").unlink()
        else:
            (locked / "uv.lock").write_text("version = 1\n")
        result = sbom.evaluate(context)
        assert result.outcome is Outcome.FAILED
        assert not (locked / "build" / "sbom.cdx.json").exists()
        assert sbom.body(result, context) == {}


class Osv(BaseHTTPRequestHandler):
    """The part of OSV's API that pip-audit asks, answering from ``advisories``."""

    advisories: ClassVar[dict[str, list[dict]]] = {}

    def do_POST(self):
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        found = self.advisories.get(f"{query['package']['name']}=={query['version']}", [])
        answer = json.dumps({"vulns": found} if found else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments):
        pass


def advisory(identifier, name, fixed, *aliases):
    events = [{"introduced": "0"}, {"fixed": fixed}]
    return {
        "id": identifier,
        "aliases": list(aliases),
        "summary": "made for a test",
        "published": "2018-10-09T00:00:00Z",
        "affected": [
            {
                "package": {"name": name, "ecosystem": "PyPI"},
                "ranges": [{"type": "ECOSYSTEM", "events": events}],
            }
        ],
    }


CANARY = advisory("GHSA-x84v-xcm2-53pg", "requests", "2.20.0", "CVE-2018-18074")


@pytest.fixture
def osv(monkeypatch):
    """An OSV server on loopback; the test sets what it knows."""
    handler = type("Handler", (Osv,), {"advisories": {"requests==2.19.1": [CANARY]}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("ML_PLATFORM_ADVISORY_SOURCES", "osv")
    monkeypatch.setenv("ML_PLATFORM_OSV_URL", f"http://127.0.0.1:{server.server_port}/v1/query")
    yield handler
    server.shutdown()
    server.server_close()


class TestVulnerabilities:
    def test_a_known_vulnerability_fails_with_id_and_fix(self, context_of, locked, osv):
        context = context_of()
        result = vulnerabilities.evaluate(context)
        assert result.outcome is Outcome.FAILED, result.summary
        (check,) = [check for check in result.checks if check.outcome is Outcome.FAILED]
        assert check.name == "vulnerabilities.requests.CVE-2018-18074"
        assert "(GHSA-x84v-xcm2-53pg)" in check.message
        assert "fixed in 2.20.0; severity unknown" in check.message
        (found,) = vulnerabilities.body(result, context)["scanner"]["result"]
        assert found["id"] == "CVE-2018-18074"

    def test_passed_means_that_each_package_was_asked_about(self, context_of, locked, osv):
        (locked / "uv.lock").write_text(LOCK.replace("2.19.1", "2.32.0"))
        result = vulnerabilities.evaluate(context_of())
        assert result.outcome is Outcome.PASSED, result.summary
        assert any("toolkit" in check.message for check in result.checks)
        assert vulnerabilities.body(result, context_of())["scanner"]["db"]["uri"].startswith("http://127.0.0.1")

    def test_a_source_that_knows_nothing_is_not_believed(self, context_of, locked, osv):
        osv.advisories = {}
        result = vulnerabilities.evaluate(context_of())
        assert result.outcome is Outcome.NOT_EVALUATED
        assert "has no advisories" in result.summary

    def test_a_dead_network_is_not_evaluated_and_soon(self, context_of, locked, monkeypatch):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
            monkeypatch.setenv("ML_PLATFORM_ADVISORY_SOURCES", "osv")
            monkeypatch.setenv("ML_PLATFORM_OSV_URL", f"http://127.0.0.1:{taken.getsockname()[1]}/v1/query")
            result = vulnerabilities.evaluate(context_of())
        assert result.outcome is Outcome.NOT_EVALUATED
        assert "does not answer" in result.summary
        assert vulnerabilities.body(result, context_of())["scanner"]["result"] == []

    def test_a_source_that_never_answers_is_given_up_in_time(self, context_of, locked, monkeypatch):
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            monkeypatch.setenv("ML_PLATFORM_ADVISORY_SOURCES", "osv")
            monkeypatch.setenv("ML_PLATFORM_OSV_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/v1/query")
            started = time.monotonic()
            result = vulnerabilities.evaluate(context_of())
        assert result.outcome is Outcome.NOT_EVALUATED
        assert time.monotonic() - started < 10

    def test_without_a_lock_there_is_nothing_to_ask_about(self, context_of, locked, osv):
        (locked / "uv.lock").unlink()
        assert vulnerabilities.evaluate(context_of()).outcome is Outcome.FAILED


class TestProvenance:
    def test_the_artefact_that_training_left_passes(self, context_of, locked):
        context = context_of()
        result = provenance.evaluate(context)
        assert result.outcome is Outcome.PASSED, result.summary
        definition = provenance.body(result, context)["buildDefinition"]
        assert definition["externalParameters"] == {"entrypoint": "wine.train:train", "seed": 7}
        digests = [material["digest"] for material in definition["resolvedDependencies"]]
        assert {"gitCommit": "0123456789abcdef0123456789abcdef01234567"} in digests
        assert {"sha256": "ab" * 32} in digests

    def test_an_artefact_changed_after_training_fails(self, context_of, locked):
        (locked / "build" / "model" / "added.txt").write_text("better weights")
        assert "changed after training" in provenance.evaluate(context_of()).summary

    def test_a_lock_changed_after_training_fails(self, context_of, locked):
        (locked / "uv.lock").write_text(LOCK + "\n")
        assert "uv.lock was changed" in provenance.evaluate(context_of()).summary

    def test_uncommitted_changes_leave_it_open_what_made_the_model(self, context_of, locked):
        git = {"commit": "c0ffee", "repository": "git.example/risk/wine", "dirty": True}
        write_training_record(locked, git=git)
        context = context_of()
        result = provenance.evaluate(context)
        assert result.outcome is Outcome.NOT_EVALUATED
        assert "uncommitted changes" in result.summary
        source = provenance.body(result, context)["buildDefinition"]["resolvedDependencies"][0]
        assert (source["uri"], source["annotations"]) == ("git+https://git.example/risk/wine", {"dirty": True})

    @pytest.mark.parametrize(
        "change", [{"git": {"commit": None, "repository": "r", "dirty": True}}, {"data": []}, {"lockDigest": None}]
    )
    def test_gaps_in_the_lineage_fail(self, context_of, locked, change):
        write_training_record(locked, **change)
        assert provenance.evaluate(context_of()).outcome is Outcome.FAILED

    @pytest.mark.parametrize("content", [None, "", "[]", "{}", "{"])
    def test_a_missing_or_damaged_record_fails(self, context_of, locked, content):
        path = locked / "build" / "training.json"
        path.unlink() if content is None else path.write_text(content)
        context = context_of()
        result = provenance.evaluate(context)
        assert "platform train" in result.summary
        provenance.body(result, context)

    @pytest.mark.parametrize(
        ("environment", "builder", "invocation"),
        [
            (
                {
                    "GITHUB_ACTIONS": "true",
                    "GITHUB_SERVER_URL": "https://github.com",
                    "GITHUB_REPOSITORY": "o/r",
                    "GITHUB_WORKFLOW_REF": "o/r/.github/workflows/ci.yml@refs/heads/main",
                    "GITHUB_RUN_ID": "7",
                },
                "https://github.com/o/r/.github/workflows/ci.yml@refs/heads/main",
                "https://github.com/o/r/actions/runs/7/attempts/1",
            ),
            (
                {
                    "GITLAB_CI": "true",
                    "CI_PROJECT_URL": "https://gitlab.com/o/r",
                    "CI_RUNNER_ID": "4",
                    "CI_JOB_URL": "https://gitlab.com/o/r/-/jobs/9",
                },
                "https://gitlab.com/o/r/-/runners/4",
                "https://gitlab.com/o/r/-/jobs/9",
            ),
            ({}, "urn:ml-platform:builder:local", None),
        ],
    )
    def test_the_builder_is_the_ci_job_or_local(self, monkeypatch, environment, builder, invocation):
        for name in ("GITHUB_ACTIONS", "GITLAB_CI"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        assert provenance.builder_id() == builder
        made = provenance.invocation_id({"modelDigest": "ab"})
        assert made == (invocation or made)
        assert socket.gethostname() not in made


@pytest.mark.parametrize("gate", [sbom, vulnerabilities, provenance], ids=lambda module: module.__name__)
def test_each_result_becomes_a_signed_statement(context_of, locked, gate, monkeypatch):
    monkeypatch.setenv("ML_PLATFORM_ADVISORY_SOURCES", "")
    context = context_of()
    result = gate.evaluate(context)
    about = Subject("wine", "ab" * 32, "local/wine", "c0ffee", lock_digest="1c" * 32, spec_digest="5c" * 32)
    statement = build_statement(result, about, gate.body(result, context))
    key = SigningKey.generate()
    parsed, _ = verify(sign(statement, key), {key.keyid: key.public_key})
    assert parsed.gate_result == result
