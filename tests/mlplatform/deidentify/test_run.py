"""Whole data sets in and out, the record of it, and what stops it."""

import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlplatform.deidentify.config import load_config
from mlplatform.deidentify.faults import DeidentifyFailed
from mlplatform.deidentify.keys import KeyUnavailable
from mlplatform.deidentify.run import Deidentification, file_digest
from mlplatform.deidentify.secrets import key_from
from mlplatform.deidentify.vault import EmbeddedVault
from mlplatform.pii.survey import scan_file

CONFIG = """
keys:
  main: env:TEST_DEIDENTIFY_KEY
columns:
  id: {operator: keep}
  name: {operator: tokenise, key: main, domain: person, vault: VAULT}
  mail: {operator: hash, key: main, domain: mail}
  phone: {operator: format-preserving, key: main, domain: phone}
  card: {operator: mask, keep_last: 4}
  born: {operator: generalise, date: year}
  note: {operator: redact}
  internal: {operator: drop}
"""
ROWS = [
    {
        "id": number,
        "name": f"Person {number}" if number else "Ada Lovelace",
        "mail": f"person{number}@example.com" if number != 7 else None,
        "phone": f"+49 30 {1234000 + number}",
        "card": "4111111111111111",
        "born": "1980-05-12",
        "note": f"please write to person{number}@example.com today",
        "internal": "x",
    }
    for number in range(40)
]


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv("TEST_DEIDENTIFY_KEY", "a key for nothing but tests")


@pytest.fixture
def run(tmp_path):
    def deidentify(source, target, config=CONFIG):
        path = tmp_path / "config.yaml"
        path.write_text(config.replace("VAULT", str(tmp_path / "vault")))
        made = Deidentification(load_config(path), file_digest(path), scan_file)
        return made.run(tmp_path / source, tmp_path / target)

    return deidentify


def write(path):
    frame = pd.DataFrame(ROWS)
    if path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
    elif path.suffix in {".csv", ".tsv"}:
        frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    else:
        path.write_text("\n".join(map(json.dumps, ROWS)) + "\n")


def read(path):
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    if path.suffix in {".csv", ".tsv"}:
        frame = pd.read_csv(path, sep="\t" if path.suffix == ".tsv" else ",", dtype=str, keep_default_na=False)
        return [{k: v or None for k, v in row.items()} | {"id": int(row["id"])} for row in frame.to_dict("records")]
    return [json.loads(line) for line in path.read_text().splitlines()]


FORMATS = ["parquet", "csv", "tsv", "jsonl"]


class TestFormats:
    @pytest.mark.parametrize("form", FORMATS)
    def test_every_column_is_dealt_with_and_nothing_of_it_is_left(self, tmp_path, run, form):
        write(tmp_path / f"in.{form}")
        outcome = run(f"in.{form}", f"out.{form}")
        rows = read(tmp_path / f"out.{form}")
        assert [row["id"] for row in rows] == list(range(40))
        assert rows[7]["mail"] is None
        first = rows[0]
        assert set(first) == {"id", "name", "mail", "phone", "card", "born", "note"}
        assert first["name"].startswith("tok_")
        assert (first["card"], first["born"]) == ("****1111", "1980")
        assert first["note"] == "please write to [REDACTED:EMAIL] today"
        assert first["phone"].startswith("+")
        content = (tmp_path / f"out.{form}").read_bytes()
        for value in (b"Lovelace", b"example.com", b"1234000", b"05-12", b"internal"):
            assert value not in content
        assert outcome.remaining == []

    def test_the_same_value_has_the_same_token_in_all_data_sets(self, tmp_path, run):
        results = []
        for form in FORMATS:
            write(tmp_path / f"in.{form}")
            run(f"in.{form}", f"out.{form}")
            results.append([(row["name"], row["mail"], row["phone"]) for row in read(tmp_path / f"out.{form}")])
        assert all(result == results[0] for result in results)

    def test_tokens_can_be_turned_back_with_the_vault(self, tmp_path, run):
        write(tmp_path / "in.csv")
        run("in.csv", "out.csv")
        vault = EmbeddedVault(tmp_path / "vault", key_from("env:TEST_DEIDENTIFY_KEY"))
        token = read(tmp_path / "out.csv")[0]["name"]
        assert vault.reveal("person", [token], who="ada", purpose="a test") == ["Ada Lovelace"]

    def test_nested_json_is_named_by_its_path(self, tmp_path, run):
        rows = [{"user": {"mails": ["a@example.com", "b@example.com"], "age": 41}, "n": n} for n in range(3)]
        (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, rows)))
        config = (
            "keys: {main: 'env:TEST_DEIDENTIFY_KEY'}\ncolumns:\n  'user.mails[]': {operator: mask}\n"
            "  user.age: {operator: generalise, band: 10}\n  n: {operator: keep}\n"
        )
        run("in.jsonl", "out.jsonl", config)
        assert read(tmp_path / "out.jsonl")[0] == {"user": {"mails": ["****", "****"], "age": "[40, 50)"}, "n": 0}


class TestRecord:
    def test_it_says_what_was_done_and_what_is_left(self, tmp_path, run):
        write(tmp_path / "in.parquet")
        evidence = run("in.parquet", "out.parquet").evidence
        assert evidence["source"]["digest"]["sha256"] == file_digest(tmp_path / "in.parquet")
        assert evidence["output"]["digest"]["sha256"] == file_digest(tmp_path / "out.parquet")
        assert evidence["output"]["rows"] == 40
        columns = {told["column"]: told for told in evidence["columns"]}
        assert columns["mail"]["operator"] == "hash"
        assert columns["mail"]["values"] == 39
        assert columns["mail"]["key"]["reference"] == "env:TEST_DEIDENTIFY_KEY"
        assert evidence["scan"]["remaining"] == 0
        assert "nothing but tests" not in json.dumps(evidence)

    def test_what_is_kept_and_personal_remains(self, tmp_path, run):
        write(tmp_path / "in.csv")
        outcome = run(
            "in.csv",
            "out.csv",
            CONFIG.replace("mail: {operator: hash, key: main, domain: mail}", "mail: {operator: keep}"),
        )
        assert [(finding["location"], finding["entity"]) for finding in outcome.remaining] == [
            ("out.csv.mail", "EMAIL_ADDRESS")
        ]

    def test_values_that_keep_their_form_are_expected_to_look_like_it(self, tmp_path, run):
        write(tmp_path / "in.csv")
        found = {finding["location"]: finding for finding in run("in.csv", "out.csv").evidence["scan"]["findings"]}
        assert found["out.csv.phone"]["expected"]


class TestFaults:
    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ("  internal: {operator: drop}\n", "", "the column internal is not in the configuration"),
            ("  note:", "  nota:", "has no column nota"),
            ("key: main, domain: mail", "key: other, domain: mail", "no key 'other'"),
            ("operator: redact", "operator: erase", "columns.note"),
            ("date: year", "date: year, band: 3", "exactly one"),
            ("env:TEST", "hunter2-as-such-TEST", "keys.main"),
            ("date: year", "band: 10", "born: a value is no number"),
        ],
    )
    def test_a_fault_is_named_and_nothing_is_written(self, tmp_path, run, old, new, said):
        write(tmp_path / "in.csv")
        with pytest.raises(DeidentifyFailed, match=said) as refused:
            run("in.csv", "out.csv", CONFIG.replace(old, new))
        assert "hunter2" not in refused.value.message
        assert not (tmp_path / "out.csv").exists()
        assert not list(tmp_path.glob(".out*"))

    def test_a_missing_key(self, tmp_path, run, monkeypatch):
        write(tmp_path / "in.csv")
        monkeypatch.delenv("TEST_DEIDENTIFY_KEY")
        with pytest.raises(KeyUnavailable, match="TEST_DEIDENTIFY_KEY"):
            run("in.csv", "out.csv")

    @pytest.mark.parametrize(
        ("name", "content", "said"),
        [
            ("in.csv", "id,name\n1,a,b\n", "row 1 of in.csv has 3 cells"),
            ("in.jsonl", '{"id": 1, "id": 2}\n', "line 1 of in.jsonl"),
            ("in.jsonl", "[1]\n", "no JSON object"),
            ("in.parquet", "nothing", "can't be read as Parquet"),
            ("in.xlsx", "nothing", "is no .parquet"),
        ],
    )
    def test_files_that_can_not_be_read(self, tmp_path, run, name, content, said):
        (tmp_path / name).write_text(content)
        config = "columns: {id: {operator: keep}, name: {operator: mask}}"
        with pytest.raises(DeidentifyFailed, match=said):
            run(name, "out" + name[2:], config)

    def test_the_source_is_never_overwritten(self, tmp_path, run):
        write(tmp_path / "in.csv")
        with pytest.raises(DeidentifyFailed, match="overwrite"):
            run("in.csv", "in.csv")

    def test_nested_columns_of_parquet_are_refused(self, tmp_path, run):
        pq.write_table(pa.Table.from_pylist([{"a": {"b": 1}}]), tmp_path / "in.parquet")
        with pytest.raises(DeidentifyFailed, match="nested"):
            run("in.parquet", "out.parquet", "columns: {a: {operator: mask}}")
