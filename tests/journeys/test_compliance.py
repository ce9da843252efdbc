"""Personal data is caught where it comes in, access is asked for, a person is erased, and a quarter is proved offline."""

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from demo.shell import Person, wait_until
from tests.journeys.conftest import ROOT, RunningPlatform, started
from tests.journeys.story import Model

pytestmark = [pytest.mark.journey, pytest.mark.timeout(900)]

CARD = "4111 1111 1111 1111"
MAIL = "anna.lindqvist@example.org"
CUSTOMERS = "id,contact,spent\n" + "".join(f"{n},anna.{n}@example.org,{n * 1.5}\n" for n in range(60))
DATA = "dataset:default/ward-training"
REASON = "Retraining after the spring campaign needs it."


@pytest.fixture(scope="module")
def running_platform() -> Iterator[RunningPlatform]:
    """A platform on which no other model knows the same data."""
    with started() as platform:
        yield platform


@pytest.fixture(scope="module")
def model(running_platform: RunningPlatform) -> Iterator[Model]:
    return Model(running_platform, "ward")


@pytest.fixture(scope="module")
def operator(running_platform: RunningPlatform) -> Person:
    return running_platform.signed_in("operator")


def types(person: Person, prefix: str) -> list[str]:
    return [one["event"]["type"] for one in person.api(f"/audit/events?type={prefix}.&limit=500")["items"]]


class TestCompliance:
    """The tests build on one another, as a story does; each is a chapter."""

    def test_personal_data_is_caught_where_it_comes_in_and_taken_out(self, model: Model, tmp_path: Path) -> None:
        file = tmp_path / "customers.csv"
        file.write_text(CUSTOMERS)
        found = model.author.platform("data", "scan", str(file), expect=1)
        said = found.text + found.messages
        assert "EMAIL_ADDRESS" in said
        assert "anna.7@example.org" not in said
        rules = tmp_path / "rules.yaml"
        rules.write_text("others: keep\ncolumns:\n  contact: {operator: mask}\n")
        safe = tmp_path / "safe.csv"
        model.author.platform("data", "deidentify", str(file), "--config", str(rules), "-o", str(safe))
        assert "example.org" not in safe.read_text()
        assert model.author.platform("data", "scan", str(safe)).status == 0

    def test_it_is_caught_in_training_and_never_reaches_an_artefact(self, model: Model) -> None:
        model.author.platform("train")
        log = model.folder / "build" / "logs"
        log.mkdir(exist_ok=True)
        (log / "notes.log").write_text(f"asked by {MAIL}, paid with {CARD}\n")
        found = model.author.platform("scan", expect=1)
        assert "EMAIL_ADDRESS" in found.text
        assert MAIL not in found.text + found.messages
        (log / "notes.log").unlink()

    def test_its_data_is_classified_by_a_person(self, model: Model) -> None:
        sent = model.author.platform("data", "classify", "--submit").document["datasets"]
        training = next(one for one in sent if one["entity"] == "resource:default/ward-training")
        waiting = [one["name"] for one in training["columns"] if one["proposed"]]
        assert waiting
        confirmed = model.approver.platform(
            "data", "confirm", training["id"], f"{waiting[0]}=confidential", "--reason", "It tells patients apart."
        ).document
        assert confirmed["classification"] == "confidential"
        # The catalog knows more than model.yaml says: a version that declares less is refused.
        model.author.platform("run", "--until", "register")
        refused = model.author.platform("deploy", "--env", "staging", "--no-wait", expect=1)
        assert "data-classification failed" in refused.messages + str(refused.document)

    def test_an_engineer_without_a_purpose_is_denied_asks_and_is_granted(
        self, running_platform: RunningPlatform
    ) -> None:
        edsger, ada = running_platform.signed_in("edsger"), running_platform.signed_in("ada")
        denied = edsger.platform("access", "check", "read", DATA, expect=1)
        assert "data.purpose-required" in str(denied.document) + denied.messages
        wish = ("read", DATA, "--purpose", "model-training", "--for", "1d", "--reason", REASON)
        asked = edsger.platform("access", "request", *wish).document
        edsger.platform("access", "approve", asked["id"], expect=1)
        ada.platform("access", "approve", asked["id"], "--comment", "for the spring run")
        assert edsger.platform("access", "check", "read", DATA, "--purpose", "model-training").status == 0
        assert {"ml-platform.access.grant.requested", "ml-platform.access.grant.approved"} <= set(
            types(ada, "ml-platform.access")
        )

    def test_a_person_is_found_and_erased_by_two(
        self, running_platform: RunningPlatform, operator: Person, tmp_path: Path
    ) -> None:
        exports = running_platform.home / "lake" / "staging" / "exports" / "day=2026-01-01"
        exports.mkdir(parents=True)
        (exports / "part-0.csv").write_text(f"id,mail\n1,{MAIL}\n2,else@example.org\n")
        who = tmp_path / "person.txt"
        who.write_text(f"{MAIL}\n")
        asked = operator.platform(
            "privacy", "find", "--subject-file", str(who), "--reason", "asked in writing"
        ).document
        id = asked["id"]

        def found() -> bool:
            return bool(operator.platform("privacy", "show", id).document["state"] == "found")

        wait_until(found, seconds=120, what="the search is over")
        operator.platform("privacy", "erase", id, "--reason", "asked in writing")
        own = operator.platform("privacy", "confirm", id, "--reason", "it is right", expect=1)
        assert "somebody else" in own.messages + str(own.document)
        assert MAIL in (exports / "part-0.csv").read_text()

    def test_the_period_is_proved_on_an_empty_environment(
        self, model: Model, operator: Person, running_platform: RunningPlatform, tmp_path: Path
    ) -> None:
        operator.platform("compliance", "evaluate")
        status = operator.platform("compliance", "status", expect=None).document
        assert {"CC8.1", "CC6.1", "P4.3"} <= {one["id"] for one in status["controls"]}
        now = datetime.now(UTC)
        since, until = (f"{now - ago:%Y-%m-%dT%H:%M:%SZ}" for ago in (timedelta(days=1), timedelta(seconds=1)))
        pack, key = tmp_path / "pack.zip", running_platform.home / "audit" / "key.pub"
        refused = model.author.platform("evidence", "export", "--from", since, "--to", until, "-o", str(pack), expect=1)
        assert "may not export evidence" in refused.messages + str(refused.document)
        operator.platform("evidence", "export", "--from", since, "--to", until, "-o", str(pack))
        environment = tmp_path / "auditor"
        uv = [str(Path(sys.executable).parent / "uv"), "--quiet"]
        subprocess.run([*uv, "venv", str(environment)], check=True)
        install = [*uv, "pip", "install", "--python", str(environment / "bin" / "python"), str(ROOT / "evidence")]
        subprocess.run(install, check=True)
        command = [str(environment / "bin" / "platform-evidence"), "verify"]
        said = subprocess.run([*command, str(pack), "--key", str(key)], capture_output=True, text=True, check=False)
        assert said.returncode == 0, said.stdout + said.stderr
        edited = tmp_path / "edited.zip"
        with zipfile.ZipFile(pack) as old, zipfile.ZipFile(edited, "w") as new:
            for name in old.namelist():
                content = old.read(name)
                new.writestr(
                    name,
                    content.replace(b"user:default/ada", b"user:default/eve") if name.endswith(".csv") else content,
                )
        said = subprocess.run([*command, str(edited), "--key", str(key)], capture_output=True, text=True, check=False)
        assert said.returncode == 1, said.stdout + said.stderr
        assert ".csv" in said.stdout + said.stderr
