"""How far a scan looks, what it says about the rest, and that a killed one goes on."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlplatform.pii.detectors import Entity
from mlplatform.pii.pool import PooledDetector
from mlplatform.pii.sampling import percent, sampled, share
from mlplatform.pii.sources import SourceFailed
from tests.mlplatform.pii.scanned import found, scan

PLATFORM = Path(sys.executable).with_name("platform")


def people(rows):
    generator = random.Random(7)
    return pd.DataFrame(
        {
            "id": range(rows),
            "mail": [f"person{number}@example.com" for number in range(rows)],
            "note": ["nothing to see"] * rows,
            "amount": [generator.random() for _ in range(rows)],
        }
    )


class TestSampling:
    def test_the_statement_is_the_bound_that_a_clean_sample_supports(self, tmp_path):
        pd.DataFrame({"x": range(200_000), "note": ["all is well"] * 200_000}).to_parquet(tmp_path / "t.parquet")
        (table,) = scan(tmp_path / "t.parquet")
        assert (table.rows, table.looked_at) == (200_000, 5_000)
        assert table.statement == (
            "0 of 5,000 sampled of 200,000 rows: with 95 % confidence fewer than 0.06 % of rows hold anything that the "
            "scan knows"
        )

    def test_the_bound_keeps_what_it_says(self):
        """Of a table in which just that share of rows is personal, 95 of 100 samples find one."""
        rows, sample = 50_000, 1_000
        bad = set(range(int(rows * share(0, sample, rows).high) + 1))
        hits = sum(bool(bad.intersection(sampled(rows, sample, seed).of(0, rows).tolist())) for seed in range(400))
        assert hits >= 0.92 * 400

    @given(st.integers(0, 300), st.integers(1, 300), st.integers(1, 5000))
    def test_bounds_hold_what_was_seen(self, count, looked_at, rows):
        looked_at = min(looked_at, rows)
        count = min(count, looked_at)
        bounds = share(count, looked_at, rows)
        assert 0 <= bounds.low <= count / looked_at <= bounds.high <= 1

    @settings(max_examples=30, deadline=None)
    @given(st.integers(1, 3000), st.integers(1, 500), st.integers(0, 99), st.lists(st.integers(1, 700), min_size=1))
    def test_the_same_rows_are_drawn_whatever_the_blocks(self, rows, sample, seed, blocks):
        chosen = sampled(rows, sample, seed)
        whole = chosen.of(0, rows).tolist()
        assert len(whole) == len(set(whole)) == min(rows, sample)
        position, pieces = 0, []
        while position < rows:
            size = min(blocks[len(pieces) % len(blocks)], rows - position)
            piece = chosen.of(position, size)
            assert bool(len(piece)) == chosen.needed(position, size)
            pieces.append([position + offset for offset in piece.tolist()])
            position += size
        assert [number for piece in pieces for number in piece] == whole

    def test_the_same_seed_finds_the_same_in_every_format(self, tmp_path):
        frame = people(20_000)
        frame["note"] = [f"ask x{n}@example.com" if n % 500 == 0 else "no" for n in range(len(frame))]
        frame.to_parquet(tmp_path / "t.parquet", row_group_size=3_000)
        frame.to_csv(tmp_path / "t.csv", index=False)
        counts = [
            {finding.location.rpartition(".")[2]: finding.count for finding in scan(tmp_path / name)[0].findings}
            for name in ("t.parquet", "t.csv")
        ]
        assert counts[0] == counts[1]

    @pytest.mark.parametrize(("value", "text"), [(0.000599, "0.06 %"), (0.5, "50 %"), (1, "100 %"), (0, "0 %")])
    def test_shares_for_people(self, value, text):
        assert percent(value) == text

    def test_everything_is_looked_at_when_asked_for(self, tmp_path):
        frame = people(12_345)
        frame["mail"] = None
        frame.loc[12_344, "note"] = "ask ada@example.com"
        frame.to_parquet(tmp_path / "t.parquet")
        (table,) = scan(tmp_path / "t.parquet", sample=None, part_rows=1_000)
        assert table.looked_at == 12_345
        assert table.statement == "all 12,345 rows were looked at"
        (finding,) = table.certain
        assert (finding.entity, finding.count, finding.sampled) == ("EMAIL_ADDRESS", 1, 12_345)


def results(tables):
    return [json.loads(json.dumps(table.as_dict())) for table in tables]


class TestResuming:
    @pytest.fixture
    def data(self, tmp_path):
        (tmp_path / "data").mkdir()
        people(1_000).to_parquet(tmp_path / "data" / "a.parquet", row_group_size=350)
        people(1_000).to_csv(tmp_path / "data" / "b.csv", index=False)
        people(600).to_json(tmp_path / "data" / "c.jsonl", orient="records", lines=True)
        (tmp_path / "data" / "d.log").write_text("row of ada@example.com dropped\n")
        return tmp_path / "data"

    @pytest.mark.parametrize("sample", [None, 100])
    def test_a_state_cut_anywhere_gives_the_same_result(self, data, tmp_path, sample):
        options = {"sample": sample, "part_rows": 190}
        expected = results(scan(data, state=tmp_path / "whole", **options))
        assert results(scan(data, **options)) == expected
        content = (tmp_path / "whole").read_bytes()
        generator = random.Random(1)
        head = content.index(b"\n") + 1
        for _ in range(5):
            cut = generator.randrange(head, len(content))
            (tmp_path / "cut").write_bytes(content[:cut])
            assert results(scan(data, state=tmp_path / "cut", **options)) == expected

    def test_what_is_done_is_not_read_again(self, data, tmp_path):
        class Counting:
            name = "counting"
            asked = 0

            def detect(self, texts, kinds=None):
                self.asked += len(texts)
                return [[Entity("PERSON", 0, len(text.value), 0.9)] for text in texts]

        frame = people(500)
        frame["note"] = [f"a longer note number {n} about it" for n in range(len(frame))]
        frame.to_csv(data / "e.csv", index=False)
        first, second = Counting(), Counting()
        before = results(scan(data, state=tmp_path / "state", detector=first))
        assert results(scan(data, state=tmp_path / "state", detector=second)) == before
        assert first.asked > 0
        assert second.asked == 0

    def test_a_changed_file_is_read_again(self, data, tmp_path):
        scan(data / "b.csv", state=tmp_path / "state")
        (data / "b.csv").write_text("id,note\n1,nothing\n")
        assert found(scan(data / "b.csv", state=tmp_path / "state")) == set()

    def test_the_state_holds_no_value(self, data, tmp_path):
        scan(data, state=tmp_path / "state", sample=None)
        content = (tmp_path / "state").read_text()
        assert "person1" not in content
        assert "example.com" not in content
        assert (tmp_path / "state").stat().st_mode & 0o777 == 0o600

    def test_the_state_of_another_scan_is_refused(self, data, tmp_path):
        scan(data, state=tmp_path / "state", sample=100)
        with pytest.raises(SourceFailed, match="asked for otherwise"):
            scan(data, state=tmp_path / "state", sample=200)
        (tmp_path / "text").write_text("hello\n")
        with pytest.raises(SourceFailed, match="no state of a scan"):
            scan(data, state=tmp_path / "text")

    @pytest.mark.fault
    def test_a_scan_that_was_killed_goes_on(self, tmp_path):
        people(45_000).to_parquet(tmp_path / "t.parquet")
        command = [PLATFORM, "data", "scan", str(tmp_path / "t.parquet"), "--full", "--json"]
        expected = json.loads(subprocess.run(command, capture_output=True, check=False).stdout)
        state = tmp_path / "state"
        process = subprocess.Popen([*command, "--resume", str(state)], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not (state.exists() and state.read_bytes().count(b"\n") > 1):
            time.sleep(0.02)
        process.kill()
        process.wait()
        parts = state.read_bytes().count(b"\n")
        done = subprocess.run([*command, "--resume", str(state)], capture_output=True, check=False)
        assert parts > 1
        assert json.loads(done.stdout) == expected
        assert done.returncode == 1


class Echo:
    """Says of each text in which process it was read, and how long it is."""

    name = "echo"

    def detect(self, texts, kinds=None):
        return [[Entity(str(os.getpid()), 0, len(text.value), 1.0)] for text in texts]


@pytest.mark.slow
def test_a_pool_of_processes_answers_in_order():
    from mlplatform.pii.detectors import Text

    texts = [Text("x" * number) for number in range(1_500)]
    with PooledDetector(Echo, 2) as pooled:
        answers = pooled.detect(texts)
        assert pooled.name == "echo"
    assert [entities[0].end for entities in answers] == list(range(1_500))
    assert str(os.getpid()) not in {entities[0].kind for entities in answers}
