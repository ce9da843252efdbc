"""``platform data`` as people meet it."""

import json
import os

import pytest

from tests.mlplatform.repositories import platform

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

ROWS = "id,contact\n" + "".join(f"{number},person{number}@example.com\n" for number in range(30))
CONFIG = """
keys: {main: "env:DATA_TEST_KEY"}
columns:
  id: {operator: keep}
  contact: {operator: tokenise, key: main, domain: contact, vault: contacts.vault}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "people.csv").write_text(ROWS)
    (tmp_path / "plain.csv").write_text("id,n\n1,2\n")
    (tmp_path / "d.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(folder):
    # Nobody is signed in here.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ML_PLATFORM")}
    environment |= {"ML_PLATFORM_HOME": str(folder / "nobody"), "DATA_TEST_KEY": "a key for nothing but tests"}

    def command(*arguments):
        return platform("data", *arguments, folder=folder, environment=environment, timeout=150)

    return command


class TestScan:
    def test_findings_fail_unless_they_are_declared(self, run):
        done = run("scan", "people.csv")
        assert done.status == 1
        assert "people.csv.contact  EMAIL_ADDRESS  30 of 30" in done.out
        assert "person1@" not in done.out + done.err
        assert run("scan", "people.csv", "--classification", "pii").status == 0
        assert run("scan", "plain.csv").status == 0

    def test_json_says_everything(self, run):
        document = json.loads(run("scan", "people.csv", "plain.csv", "--json", "--seed", "1").out)
        assert (document["findings"], document["complete"]) == (1, True)
        assert [table["table"] for table in document["tables"]] == ["people.csv", "plain.csv"]
        (finding,) = document["tables"][0]["findings"]
        assert finding["share"] == {"low": 1.0, "high": 1.0}

    def test_what_can_not_be_read_fails_and_the_rest_is_scanned(self, run, folder):
        (folder / "bad.parquet").write_text("nothing")
        done = run("scan", ".", "--classification", "pii")
        assert done.status == 1
        assert "bad.parquet is no Parquet file" in done.err
        assert "people.csv.contact" in done.out

    @pytest.mark.parametrize(
        ("arguments", "status", "said"),
        [
            (["none.csv"], 1, "nothing at"),
            (["people.csv", "--full", "--sample", "3"], 2, "--sample"),
            (["postgresql://u:hunter2@h/d#t"], 1, "holds a password"),
            (["sqlite:///none.db#t", "--password", "hunter2"], 1, "by reference"),
            (["people.csv", "--recognizers", "d.yaml"], 1, "no list `recognizers`"),
            (["people.csv", "--detector", "dlp"], 1, "ML_PLATFORM_DLP_PROJECT"),
            ([], 2, "SOURCE"),
        ],
    )
    def test_wrong_use_is_told(self, run, arguments, status, said):
        done = run("scan", *arguments)
        assert done.status == status
        assert said in done.err
        assert "hunter2" not in done.out + done.err


class TestDeidentify:
    def test_there_and_back(self, run, folder):
        done = run("deidentify", "people.csv", "--config", "d.yaml", "-o", "safe.csv", "--json")
        assert done.status == 0, done.err
        assert json.loads(done.out)["columns"][1]["values"] == 30
        assert json.loads((folder / "safe.csv.deidentified.json").read_text())["type"] == "deidentification/v1"
        assert run("scan", "safe.csv").status == 0
        token = (folder / "safe.csv").read_text().splitlines()[1].split(",")[1]
        reveal = ["reveal", token, "--vault", "contacts.vault", "--key", "env:DATA_TEST_KEY", "--domain", "contact"]
        alone = run(*reveal, "--purpose", "a test")
        assert "person0@example.com" in alone.out
        assert "signed in to no platform" in alone.err
        assert run(*reveal, "--purpose", " ").status == 1
        assert run("reveal", "tok_none", *reveal[2:], "--purpose", "a test").status == 1

    def test_a_vault_of_a_platform_is_not_revealed_without_it(self, run, folder):
        (folder / "d.yaml").write_text(f"platform: https://ml.example.org/\ndataset: default/people\n{CONFIG}")
        assert run("deidentify", "people.csv", "--config", "d.yaml", "-o", "safe.csv").status == 0
        token = (folder / "safe.csv").read_text().splitlines()[1].split(",")[1]
        reveal = ["reveal", token, "--vault", "contacts.vault", "--key", "env:DATA_TEST_KEY", "--domain", "contact"]
        reveal += ["--purpose", "subject-request"]
        refused = run(*reveal)
        assert (refused.status, "belongs to the platform https://ml.example.org," in refused.err) == (1, True)
        other = run(*reveal, "--dataset", "default/weather")
        assert (other.status, "it has those of default/people" in other.err) == (1, True)

    def test_what_is_left_fails(self, run, folder):
        (folder / "keep.yaml").write_text("columns: {id: {operator: keep}, contact: {operator: keep}}")
        done = run("deidentify", "people.csv", "--config", "keep.yaml", "-o", "safe.csv")
        assert done.status == 1
        assert "contact still holds EMAIL_ADDRESS" in done.err

    def test_a_column_that_is_not_named_is_refused(self, run, folder):
        (folder / "part.yaml").write_text("columns: {id: {operator: keep}}")
        done = run("deidentify", "people.csv", "--config", "part.yaml", "-o", "safe.csv")
        assert (done.status, (folder / "safe.csv").exists()) == (1, False)
        assert "the column contact is not in the configuration" in done.err
