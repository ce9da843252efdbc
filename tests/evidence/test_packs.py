"""What is in a pack, what it shows, and which files are no pack."""

import contextlib
import csv
import io
import json
import os
import re
import stat
import subprocess
import venv
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from trestle.oscal.assessment_results import AssessmentResults
from uv import find_uv_bin

from evidence import archive
from evidence.__main__ import main
from evidence.archive import Archive
from evidence.errors import EvidenceError
from evidence.verify import verify_pack
from mlplatform.gates.result import Gate, Outcome

from .record import ADA, DAY, GRACE, OPERATOR, Record, quarter

ROOT = Path(__file__).parents[2]


def table(pack: Path, name: str) -> list[dict[str, str]]:
    with zipfile.ZipFile(pack) as zipped:
        return list(csv.DictReader(io.StringIO(zipped.read(f"csv/{name}.csv").decode())))


def closed(record: Record) -> Record:
    """End the period."""
    record.now = DAY[1]
    record.add("evidence.pack.requested", "evidence:1", OPERATOR)
    return record


def opened() -> Record:
    record = Record()
    record.now = DAY[0]
    return record


def found(record: Record, folder: Path) -> list[tuple[str, str]]:
    """Return what an auditor is told of a valid pack."""
    result = verify_pack(record.pack(folder / "pack.zip", *DAY), record.public)
    assert result.valid, result.faults
    return [(one.check, one.message) for one in result.exceptions]


def test_for_what_was_live_it_is_on_record_who_made_checked_approved_and_deployed_it(tmp_path: Path) -> None:
    record = quarter()
    pack = record.pack(tmp_path / "pack.zip", *DAY)
    first, second, *_ = table(pack, "live")
    # Live since before the period: what is known of it comes with inclusion proofs.
    assert (first["version"], first["author"], first["approved_by"]) == ("1", ADA, GRACE)
    assert first["since"] < "2026-01-02" < first["until"] == second["since"]
    assert first["gates"] == "pii=passed schema=passed"
    deployment = table(pack, "deployments")[0]
    assert (deployment["author"], deployment["decided_by"], deployment["outcome"]) == (ADA, GRACE, "promoted")
    assert deployment["commit"] == "a" * 40
    assert table(pack, "versions")[0]["data"] == '[{"name":"wine"}]'
    assert len(table(pack, "population")) == len(table(pack, "deployments")) == 6


def test_a_deployment_that_began_before_the_period_is_whole(tmp_path: Path) -> None:
    record = Record()
    digest = record.register("wine", 1)
    record.now = DAY[0] - timedelta(minutes=2, seconds=30)
    record.deploy("wine", 1, digest)
    (row,) = table(closed(record).pack(tmp_path / "pack.zip", *DAY), "deployments")
    assert row["requested_at"] < "2026-01-02" <= row["finished_at"]
    assert (row["author"], row["requested_by"], row["decided_by"]) == (ADA, ADA, GRACE)


def test_the_sample_follows_from_the_seed(tmp_path: Path) -> None:
    record = quarter()
    drawn = []
    for seed in ("one", "two", "one"):
        pack = record.pack(tmp_path / "pack.zip", *DAY, sample_seed=seed, sample_size=3)
        assert verify_pack(pack, record.public).valid
        drawn.append([row["deployment"] for row in table(pack, "sample")])
    assert drawn[0] == drawn[2] != drawn[1]
    assert len(drawn[0]) == 3


def test_a_cell_is_no_formula(tmp_path: Path) -> None:
    record = quarter()
    (row,) = table(record.pack(tmp_path / "pack.zip", *DAY), "refusals")
    assert row["reason"] == '\'=cmd|"x"!A1'


@pytest.mark.parametrize(
    "who", ["author", "requester", "author's job", "requester's job", "approver's job", "other case"]
)
def test_an_approver_who_is_the_author_is_an_exception(who: str, tmp_path: Path) -> None:
    record, ci = opened(), "repository:local/r"
    author = {"author": GRACE, "author's job": ci}.get(who, ADA)
    digest = record.register("wine", 1, author, **({"onBehalfOf": GRACE} if who == "author's job" else {}))
    asked: dict[str, Any] = {"by": GRACE if who == "requester" else ci if who == "requester's job" else ADA}
    asked |= {"onBehalfOf": GRACE} if who == "requester's job" else {}
    approver = {"other case": "User:default/ADA", "approver's job": ADA}.get(who, GRACE)
    record.deploy("wine", 1, digest, approver=approver, **asked)
    ((check, message),) = found(closed(record), tmp_path)
    assert check == "separation-of-duties"
    assert "approved it, and is its author or asked for it" in message


def test_what_else_an_auditor_asks_about_is_an_exception(tmp_path: Path) -> None:
    record = opened()
    record.deploy("unknown", 1, "d" * 64)
    digest = record.register("wine", 1)
    record.attest("wine", digest, Gate.THRESHOLDS, Outcome.FAILED)
    id = record.deploy("wine", 1, digest)
    record.add(
        "deployments.deployment.broke_glass", f"model:wine/deployments/{id}", ADA, deployment=id, breakGlass="on fire"
    )
    record.deploy("wine", 1, digest)
    record.now -= timedelta(hours=1)
    record.add("x", "y", ADA)
    said = {check for check, _ in found(closed(record), tmp_path)}
    assert said == {"provenance", "gates", "break-glass", "clock"}


def test_times_to_fix_are_counted(tmp_path: Path) -> None:
    record = opened()
    record.attest("wine", "a" * 64, Gate.VULNERABILITIES, Outcome.FAILED)
    record.now += timedelta(hours=12)
    record.attest("wine", "b" * 64, Gate.VULNERABILITIES)
    record.attest("other", "c" * 64, Gate.VULNERABILITIES, Outcome.FAILED)
    fixed, still = table(closed(record).pack(tmp_path / "pack.zip", *DAY), "vulnerabilities")
    assert (fixed["subject"], fixed["days_to_fix"]) == ("model:wine", "0.50")
    assert (still["subject"], still["fixed"]) == ("model:other", "")


def test_a_pack_about_one_control_has_its_tables_and_all_events(tmp_path: Path) -> None:
    record = quarter()
    pack = record.pack(tmp_path / "pack.zip", *DAY, control="C1.2")
    result = verify_pack(pack, record.public)
    assert (result.valid, result.events) == (True, 45)
    with zipfile.ZipFile(pack) as zipped:
        tables = {name for name in zipped.namelist() if name.startswith("csv/")}
    assert tables == {"csv/deletions.csv", "csv/record.csv"}


def test_a_period_without_events_is_shown_to_be_without(tmp_path: Path) -> None:
    record = Record()
    record.add("x", "y", ADA)
    closed(record)
    pack = record.pack(tmp_path / "pack.zip", DAY[0], DAY[0] + timedelta(hours=1))
    result = verify_pack(pack, record.public)
    assert (result.valid, result.events) == (True, 2)
    assert table(pack, "population") == []


def test_the_findings_are_oscal_that_others_read(tmp_path: Path) -> None:
    record = opened()
    record.deploy("wine", 1, record.register("wine", 1), approver=ADA)
    pack = closed(record).pack(tmp_path / "pack.zip", *DAY)
    with zipfile.ZipFile(pack) as zipped:
        (tmp_path / "results.json").write_bytes(zipped.read("oscal-assessment-results.json"))
    results = AssessmentResults.oscal_read(tmp_path / "results.json")
    assert results is not None
    states = {one.title: one.target.status.state.value for one in results.results[0].findings}
    assert states["Nobody approves what is their own"] == "not-satisfied"
    assert states["What goes live was tested"] == "satisfied"


def test_the_report_shows_and_loads_nothing(tmp_path: Path) -> None:
    record = opened()
    record.deploy("<script>alert(1)</script>", 1, "d" * 64)
    with zipfile.ZipFile(closed(record).pack(tmp_path / "pack.zip", *DAY)) as zipped:
        page = zipped.read("report.html").decode()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"""(src|href)=|url\(|@import""", page)


def hostile(file: Path, *entries: tuple[str, bytes], mode: int = 0o100644, kind: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(file, "w", kind) as zipped:
        for name, content in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr, info.compress_type = mode << 16, kind
            zipped.writestr(info, content)
    return file


@pytest.mark.parametrize(
    ("entries", "options", "said"),
    [
        ([("../evil.csv", b"x")], {}, "no file of a pack"),
        ([("/etc/passwd", b"x")], {}, "no file of a pack"),
        ([("csv\\..\\evil.csv", b"x")], {}, "no file of a pack"),
        ([("events/", b"")], {}, "no file of a pack"),
        ([("csv/a.csv", b"x"), ("csv/a.csv", b"y")], {}, "twice"),
        ([("events/000001.jsonl", b"\0" * 50_000_000)], {}, "a zip bomb"),
        ([("checkpoint", b"x")], {"mode": stat.S_IFLNK | 0o777}, "is a link"),
        ([("checkpoint", b"x")], {"kind": zipfile.ZIP_LZMA}, "compressed in a way"),
        ([(f"events/{number:06}.jsonl", b"") for number in range(10_001)], {}, "at most 10000"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_hostile_zip_is_refused(
    entries: list[tuple[str, bytes]], options: dict[str, int], said: str, tmp_path: Path
) -> None:
    with pytest.raises(EvidenceError, match=said):
        Archive(hostile(tmp_path / "hostile.zip", *entries, **options))


def test_a_zip_that_lies_about_sizes_is_found(tmp_path: Path) -> None:
    record = quarter()
    whole = record.pack(tmp_path / "pack.zip", *DAY).read_bytes()
    with zipfile.ZipFile(tmp_path / "pack.zip") as zipped:
        size = zipped.getinfo("README.md").file_size
    lied = whole.replace(size.to_bytes(4, "little"), (size - 1).to_bytes(4, "little"))
    (tmp_path / "lied.zip").write_bytes(lied)
    assert not verify_pack(tmp_path / "lied.zip", record.public).valid


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"not a zip", b"PK\x05\x06" + b"\0" * 18])
def test_what_is_no_zip_or_empty_is_said(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(content)
    if content.startswith(b"PK\x05"):
        (fault,) = verify_pack(tmp_path / "x.zip", quarter().public).faults
        assert fault.message == "manifest.json is missing"
    else:
        with pytest.raises(EvidenceError, match="no zip file"):
            verify_pack(tmp_path / "x.zip", quarter().public)


def test_a_truncated_or_bit_flipped_file_never_stumbles(tmp_path: Path) -> None:
    record = quarter()
    whole = record.pack(tmp_path / "pack.zip", *DAY).read_bytes()
    (tmp_path / "x.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(EvidenceError, match="no zip file"):
        verify_pack(tmp_path / "x.zip", record.public)
    for at in range(0, len(whole), max(1, len(whole) // 60)):
        (tmp_path / "x.zip").write_bytes(whole[:at] + bytes([whole[at] ^ 0x40]) + whole[at + 1 :])
        # It may be refused, or judged; nothing else comes out of it.
        with contextlib.suppress(EvidenceError):
            verify_pack(tmp_path / "x.zip", record.public)


def test_a_line_without_end_is_not_read_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "LONGEST_LINE", 1000)
    file = hostile(tmp_path / "x.zip", ("events/000001.jsonl", os.urandom(100_000).replace(b"\n", b"")))
    with Archive(file) as pack, pytest.raises(EvidenceError, match="a line of more than"):
        list(pack.lines("events/000001.jsonl"))


class Auditor:
    """Somebody with a pack, a key and the command."""

    def __init__(self, folder: Path) -> None:
        self.record = quarter()
        self.pack = self.record.pack(folder / "pack.zip", *DAY)
        self.key, self.checkpoint = folder / "key.pub", folder / "published"
        self.key.write_text(self.record.public.encoded)
        self.checkpoint.write_text(self.record.checkpoint(30)[1])


@pytest.fixture
def auditor(tmp_path: Path) -> Auditor:
    return Auditor(tmp_path)


def test_the_command_says_what_came_of_it(auditor: Auditor, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["verify", str(auditor.pack), "--key", str(auditor.key)]
    assert main(arguments) == 0
    assert "none from a second place given" in capsys.readouterr().out
    assert main([*arguments, "--checkpoint", str(auditor.checkpoint), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["valid"], said["checkpointsCompared"], said["events"]) == (True, 1, 45)


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"--key": "missing"}, 2, "No such file"),
        ({"--key": "pack.zip"}, 2, "no text"),
        ({"--checkpoint": "key.pub"}, 2, "no signed note"),
        ({"--proof": "key.pub"}, 2, "it is no proof"),
        ({"file": "key.pub"}, 2, "no zip file"),
        ({"file": "."}, 2, "Is a directory"),
    ],
)
def test_wrong_inputs_are_told_apart_from_a_bad_pack(
    change: dict[str, str], status: int, said: str, auditor: Auditor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"--key": "key.pub", "file": "pack.zip", **change}
    file = given.pop("file")
    arguments = [part for name, value in given.items() for part in (name, str(tmp_path / value))]
    assert main(["verify", str(tmp_path / file), *arguments]) == status
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_an_empty_environment_with_the_evidence_distribution_alone_verifies(auditor: Auditor, tmp_path: Path) -> None:
    built = subprocess.run(
        [find_uv_bin(), "build", "--wheel", "--out-dir", str(tmp_path), str(ROOT / "evidence")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    empty = tmp_path / "empty"
    venv.create(empty, with_pip=False)
    site = next((empty / "lib").glob("python*")) / "site-packages"
    with zipfile.ZipFile(wheel) as zipped:
        zipped.extractall(site)
    # cryptography and what it is made of; everything else of this environment is out of reach.
    import cffi
    import cryptography

    for package in (Path(cryptography.__file__).parent, Path(cffi.__file__).parent):
        (site / package.name).symlink_to(package)
    for module in Path(cffi.__file__).parents[1].glob("_cffi_backend*"):
        (site / module.name).symlink_to(module)
    arguments = [
        str(empty / "bin" / "python"),
        "-I",
        "-m",
        "evidence",
        "verify",
        str(auditor.pack),
        "--key",
        str(auditor.key),
    ]
    done = subprocess.run([*arguments, "--json"], capture_output=True, text=True, check=False, cwd=tmp_path, env={})
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["valid"] is True
    spoilt = auditor.pack.read_bytes()
    auditor.pack.write_bytes(spoilt[:-500])
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, cwd=tmp_path, env={})
    assert (done.returncode, done.stdout) == (2, "")
