"""The same rows in every form, and what is wrong with files."""

import bz2
import gzip
import json
import lzma
import os
import pickle
import time
import zipfile

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from mlplatform.pii.sources import Limits, SourceFailed, open_source
from mlplatform.pii.sources.base import MIB
from tests.mlplatform.pii.scanned import found, scan

ROWS = [{"id": number, "contact": f"person{number}@example.com", "amount": number / 3} for number in range(300)]
EXPECTED = "EMAIL_ADDRESS"


def frame():
    return pd.DataFrame(ROWS)


WRITERS = {
    "t.parquet": lambda path: frame().to_parquet(path),
    "t.csv": lambda path: frame().to_csv(path, index=False),
    "t.tsv": lambda path: frame().to_csv(path, index=False, sep="\t"),
    "semicolons.csv": lambda path: frame().to_csv(path, index=False, sep=";"),
    "utf16.csv": lambda path: frame().to_csv(path, index=False, encoding="utf-16"),
    "latin1.csv": lambda path: path.write_bytes(b"city;contact\n" + b"M\xfcnchen;ada@example.com\n" * 30),
    "t.csv.gz": lambda path: path.write_bytes(gzip.compress(frame().to_csv(index=False).encode())),
    "t.csv.bz2": lambda path: path.write_bytes(bz2.compress(frame().to_csv(index=False).encode())),
    "t.jsonl.xz": lambda path: path.write_bytes(lzma.compress(frame().to_json(orient="records", lines=True).encode())),
    "t.jsonl": lambda path: frame().to_json(path, orient="records", lines=True),
    "t.json": lambda path: frame().to_json(path, orient="records"),
    "split.json": lambda path: path.write_text(
        json.dumps({"dataframe_split": json.loads(frame().to_json(orient="split"))})
    ),
    "t.feather": lambda path: frame().to_feather(path),
    "t.arrow": lambda path: write_stream(path),
}


def write_stream(path):
    table = pa.Table.from_pandas(frame())
    with pa.ipc.new_stream(path, table.schema) as stream:
        stream.write_table(table, max_chunksize=100)


class TestForms:
    @pytest.mark.parametrize("name", WRITERS)
    def test_every_form_gives_the_same_finding(self, tmp_path, name):
        WRITERS[name](tmp_path / name)
        (table,) = scan(tmp_path / name)
        assert found([table]) == {(f"{name}.contact", EXPECTED)}
        assert table.failed is None
        assert table.looked_at == table.rows == (30 if name == "latin1.csv" else 300)

    def test_folders_patterns_and_archives(self, tmp_path):
        (tmp_path / "deep" / "er").mkdir(parents=True)
        WRITERS["t.csv"](tmp_path / "deep" / "er" / "a.csv")
        WRITERS["t.parquet"](tmp_path / "b.parquet")
        with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
            archive.writestr("in/side.csv", frame().to_csv(index=False))
        everywhere = {
            ("deep/er/a.csv.contact", EXPECTED),
            ("b.parquet.contact", EXPECTED),
            ("c.zip:in/side.csv.contact", EXPECTED),
        }
        assert found(scan(tmp_path)) == everywhere
        assert found(scan(f"{tmp_path}/*.parquet")) == {("b.parquet.contact", EXPECTED)}
        assert found(scan(f"{tmp_path}/**/*.csv")) == {("deep/er/a.csv.contact", EXPECTED)}

    def test_other_stores_by_url(self):
        import fsspec

        with fsspec.open("memory://bucket/day=1/t.csv", "w") as stream:
            stream.write(frame().to_csv(index=False))
        assert found(scan("memory://bucket")) == {("day=1/t.csv.contact", EXPECTED)}

    def test_nested_values_are_columns_by_their_path(self, tmp_path):
        rows = [
            {
                "user": {"mails": [{"to": f"p{n}@example.com"}], "tags": ["a"]},
                "raw": '{"iban": "DE89370400440532013000"}',
            }
            for n in range(20)
        ]
        (tmp_path / "n.jsonl").write_text("\n".join(map(json.dumps, rows)))
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "n.parquet")
        expected = {("user.mails[].to", EXPECTED), ("raw.iban", "IBAN_CODE")}
        for name in ("n.jsonl", "n.parquet"):
            assert {(place.removeprefix(f"{name}."), kind) for place, kind in found(scan(tmp_path / name))} == expected

    def test_there_is_nothing(self, tmp_path):
        with pytest.raises(SourceFailed, match="nothing at"):
            scan(tmp_path / "none.csv")
        (tmp_path / "empty.csv").write_text("")
        assert scan(tmp_path / "empty.csv")[0].findings == []


class TestDatabases:
    @pytest.fixture
    def shop(self, tmp_path):
        engine = sa.create_engine(f"sqlite:///{tmp_path}/shop.db")
        frame().to_sql("orders", engine, index=False)
        pd.DataFrame({"n": [1, 2]}).to_sql("plain", engine, index=False)
        engine.dispose()
        return f"sqlite:///{tmp_path}/shop.db"

    def test_one_table_or_all(self, shop):
        assert found(scan(f"{shop}#orders")) == {("orders.contact", EXPECTED)}
        assert [table.name for table in scan(shop)] == ["orders", "plain"]

    def test_a_missing_table_or_file_is_told(self, shop, tmp_path):
        (table,) = scan(f"{shop}#none")
        assert table.failed == "the database has no table none"
        with pytest.raises(SourceFailed, match="no SQLite database"):
            scan(f"sqlite:///{tmp_path}/missing.db")
        assert not (tmp_path / "missing.db").exists()

    def test_nothing_can_be_written(self, shop):
        (table,) = open_source(f"{shop}#orders", Limits())
        with pytest.raises(SourceFailed, match="readonly"), table._reading() as connection:
            connection.execute(sa.text("DELETE FROM orders"))

    @pytest.mark.parametrize(
        "address",
        ["postgresql://me:hunter2@db/shop", "postgresql://me@db/shop?password=hunter2", "s3://key:hunter2@bucket/x"],
    )
    def test_passwords_in_addresses_are_refused_and_not_repeated(self, address):
        with pytest.raises(SourceFailed) as refused:
            open_source(address, Limits())
        assert "hunter2" not in refused.value.message + str(refused.value.fix)

    @pytest.mark.postgres
    def test_postgresql_is_streamed_and_only_read(self, postgres_url):
        engine = sa.create_engine(postgres_url)
        frame().to_sql("pii_orders", engine, index=False, if_exists="replace")
        engine.dispose()
        url = sa.make_url(postgres_url)
        address = url._replace(password=None).render_as_string(hide_password=False)
        (table,) = open_source(f"{address}#pii_orders", Limits(), url.password)
        with pytest.raises(SourceFailed, match="read-only"), table._reading() as connection:
            connection.execute(sa.text("DELETE FROM pii_orders"))
        assert found(scan(f"{address}#pii_orders")) == {("pii_orders.contact", EXPECTED)}


class TestDamage:
    def test_a_truncated_parquet_file(self, tmp_path):
        WRITERS["t.parquet"](tmp_path / "t.parquet")
        content = (tmp_path / "t.parquet").read_bytes()
        (tmp_path / "t.parquet").write_bytes(content[: len(content) // 2])
        (table,) = scan(tmp_path / "t.parquet")
        assert "damaged" in table.failed

    def test_poisoned_parquet_never_passes_as_clean(self, tmp_path):
        frame().to_parquet(tmp_path / "t.parquet", compression=None)
        content = (tmp_path / "t.parquet").read_bytes()
        for position in range(4, len(content) - 8, max(len(content) // 60, 1)):
            poisoned = bytearray(content)
            poisoned[position : position + 4] = b"\xff\xff\xff\x7f"
            (tmp_path / "p.parquet").write_bytes(poisoned)
            (table,) = scan(tmp_path / "p.parquet")
            assert table.failed or table.looked_at == 300

    def test_a_parquet_bomb_is_refused_by_its_footer(self, tmp_path):
        table = pa.table({"x": pa.array([os.urandom(1000).hex()] * 5000)})
        pq.write_table(table, tmp_path / "b.parquet", use_dictionary=False, compression="zstd")
        assert (tmp_path / "b.parquet").stat().st_size < MIB
        (result,) = scan(tmp_path / "b.parquet", limits=Limits(column_chunk_bytes=MIB))
        assert "unpacks to" in result.failed

    def test_a_value_of_a_megabyte_that_repeats_is_held_once(self, tmp_path):
        value = "x" * MIB + " ada@example.com"
        table = pa.table({"x": pa.DictionaryArray.from_arrays(pa.array([0] * 100_000), [value])})
        pq.write_table(table, tmp_path / "b.parquet")
        started = time.process_time()
        (result,) = scan(tmp_path / "b.parquet", sample=None, part_rows=100_000)
        assert result.looked_at == 100_000
        assert any("so long" in note for note in result.notes)
        assert time.process_time() - started < 20

    @pytest.mark.parametrize("name", ["bomb.csv.gz", "bomb.jsonl.gz", "bomb.zip"])
    def test_compression_bombs_are_given_up(self, tmp_path, name):
        line = b"a,b\n" + (b"0" * 1_000 + b",0\n") * 4_000
        if name.endswith("zip"):
            with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("bomb.csv", line)
        else:
            (tmp_path / name).write_bytes(gzip.compress(line))
        (table,) = scan(tmp_path / name, limits=Limits(unpack_ratio=10, unpack_grace=MIB))
        assert "unpacks to more than 1 MiB" in table.failed

    def test_a_truncated_gzip_is_read_as_far_as_it_goes_and_told(self, tmp_path):
        lines = "".join(f"{n},p{n * 7919 % 99991}@example.com\n" for n in range(20_000))
        content = gzip.compress(("id,contact\n" + lines).encode())
        (tmp_path / "t.csv.gz").write_bytes(content[: len(content) // 2])
        (table,) = scan(tmp_path / "t.csv.gz", limits=Limits(record_bytes=65_536))
        assert "damaged or cut off" in table.failed
        assert found([table]) == {("t.csv.gz.contact", EXPECTED)}

    def test_a_huge_cell_costs_a_block_and_is_told(self, tmp_path):
        with (tmp_path / "t.csv").open("wb") as stream:
            stream.write(b"a,b\n1,2\n3,")
            for _ in range(40):
                stream.write(b"x" * MIB)
            stream.write(b"\n")
        (table,) = scan(tmp_path / "t.csv")
        assert "longer than 8 MiB" in table.failed

    def test_a_huge_line_of_json_is_told(self, tmp_path):
        (tmp_path / "t.jsonl").write_bytes(b'{"a": "' + b"x" * 3 * MIB + b'"}\n')
        (table,) = scan(tmp_path / "t.jsonl", limits=Limits(record_bytes=MIB))
        assert "line 1 is longer than 1 MiB" in table.failed

    @pytest.mark.parametrize("name", ["deep.json", "deep.jsonl"])
    def test_deep_json_is_read_as_text(self, tmp_path, name):
        depth = 100_000
        (tmp_path / name).write_text('{"a":' * depth + '"ada@example.com"' + "}" * depth)
        (table,) = scan(tmp_path / name)
        assert table.failed is None
        assert {kind for _, kind in found([table])} == {EXPECTED}

    def test_nesting_beyond_the_limit_is_read_as_text(self, tmp_path):
        (tmp_path / "t.json").write_text('{"a":' * 100 + '"ada@example.com"' + "}" * 100)
        (table,) = scan(tmp_path / "t.json")
        assert {kind for _, kind in found([table])} == {EXPECTED}
        assert any("deeper than 64" in note for note in table.notes)

    def test_names_that_repeat_hide_nothing(self, tmp_path):
        (tmp_path / "t.jsonl").write_text('{"note": "ada@example.com", "note": "nothing"}\n' * 20)
        assert found(scan(tmp_path / "t.jsonl")) == {("t.jsonl.note", EXPECTED)}
        (tmp_path / "t.csv").write_text("note,note\nada@example.com,nothing\n" * 20)
        assert ("t.csv.note", EXPECTED) in found(scan(tmp_path / "t.csv"))

    def test_rows_that_do_not_fit_the_header_are_read(self, tmp_path):
        (tmp_path / "t.csv").write_text("a,b\n1,2\n" + "1,2,ada@example.com\n" * 5 + "3,4\n")
        (table,) = scan(tmp_path / "t.csv")
        assert {kind for _, kind in found([table])} == {EXPECTED}
        assert "another number of cells" in table.notes[0]

    def test_lines_that_are_no_json_are_read(self, tmp_path):
        (tmp_path / "t.jsonl").write_text('{"a": 1}\nada@example.com wrote\n{"a": 2}\n')
        assert {kind for _, kind in found(scan(tmp_path / "t.jsonl"))} == {EXPECTED}

    def test_pickles_are_read_and_never_loaded(self, tmp_path):
        class Exploding:
            def __reduce__(self):
                return (pytest.fail, ("the pickle was loaded",))

        (tmp_path / "m.pkl").write_bytes(pickle.dumps([Exploding(), "ada@example.com"]))
        assert found(scan(tmp_path)) == {("m.pkl", EXPECTED)}

    def test_a_file_that_is_not_what_its_name_says(self, tmp_path):
        (tmp_path / "t.parquet").write_text("id,contact\n1,ada@example.com\n")
        (tmp_path / "t.arrow").write_bytes(b"ARROW1\0\0nothing")
        (tmp_path / "t.zip").write_bytes(b"PK\x03\x04nothing")
        for name in ("t.parquet", "t.arrow"):
            assert scan(tmp_path / name)[0].failed
        with pytest.raises(SourceFailed, match="damaged"):
            scan(tmp_path / "t.zip")
