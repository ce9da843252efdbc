"""`platform audit` and `platform evidence`: what is said, and with which exit status."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mlplatform.cli.commands.audit import audit
from mlplatform.cli.commands.evidence_group import evidence
from mlplatform.cli.errors import CliError
from mlplatform.client import ClientError, PlatformClient
from tests.evidence.record import DAY, Record, quarter


class Platform:
    """Answers of a platform, in the place of a connection to one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **answers: Any) -> None:
        self.sent: list[tuple[Any, ...]] = []
        for name, answer in answers.items():
            monkeypatch.setattr(PlatformClient, name, self._answering(name, answer))
        monkeypatch.setenv("ML_PLATFORM_TOKEN", "token")

    def _answering(self, name: str, answer: Any) -> Any:
        def call(_client: PlatformClient, *arguments: Any) -> Any:
            self.sent.append((name, *arguments))
            return answer(*arguments) if callable(answer) else answer

        return call


def run(group: Any, *arguments: str | Path) -> tuple[int, str, Exception | None]:
    done = CliRunner().invoke(group, [str(one) for one in arguments], standalone_mode=False)
    error = done.exception if isinstance(done.exception, Exception) else None
    return (done.return_value or 0) if error is None else getattr(error, "exit_code", 1), done.output, error


@pytest.fixture
def record() -> Record:
    return quarter()


def test_verify_sends_the_checkpoints_and_tells_warnings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fault = {"seq": 3, "id": None, "kind": "edited", "message": "the log was rewritten"}
    warning = {"seq": 2, "message": "the clock went back"}
    found = {
        "valid": False,
        "events": 5,
        "head": {"seq": 5, "hash": "ab" * 32},
        "faults": [fault],
        "warnings": [warning],
    }
    platform = Platform(monkeypatch, audit_verification=found)
    (tmp_path / "then").write_text("a note")
    status, text, _ = run(audit, "verify", "--checkpoint", tmp_path / "then")
    assert (status, platform.sent) == (1, [("audit_verification", ["a note"])])
    assert "the clock went back" in text
    assert "edited: event 3 (-): the log was rewritten" in text
    (tmp_path / "then").write_bytes(b"\xff\xfe")
    _, _, error = run(audit, "verify", "--checkpoint", tmp_path / "then")
    assert isinstance(error, CliError)
    assert "it is no text" in error.message


def test_a_checkpoint_is_printed_as_it_was_signed(monkeypatch: pytest.MonkeyPatch, record: Record) -> None:
    note = record.checkpoint()[1]
    Platform(monkeypatch, audit_checkpoint={"checkpoint": note})
    assert run(audit, "checkpoint")[:2] == (0, note)


@pytest.mark.parametrize(
    "arguments",
    [[], ["--seq", "1", "--from", "1"], ["--seq", "1", "--to", "2"], ["--from", "1", "--size", "2"], ["--seq", "0"]],
)
def test_prove_wants_one_of_two_questions(arguments: list[str]) -> None:
    status, _, error = run(audit, "prove", *arguments)
    assert status == 2, error


def test_prove_prints_the_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"size": 7, "root": "aa", "proof": ["bb", "cc"]}
    assert "event 3 is in the log of 7 events" in _proved(monkeypatch, {"audit_inclusion": said}, "--seq", "3")
    said = {"from": 3, "fromRoot": "aa", "to": 7, "toRoot": "dd", "proof": ["bb"]}
    assert "goes on from that of 3 events (root aa)" in _proved(monkeypatch, {"audit_consistency": said}, "--from", "3")


def _proved(monkeypatch: pytest.MonkeyPatch, answers: dict[str, Any], *arguments: str) -> str:
    Platform(monkeypatch, **answers)
    status, text, error = run(audit, "prove", *arguments)
    assert status == 0, error
    return text


def test_verify_says_how_much_is_sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"valid": True, "events": 900, "sealed": 512, "segments": 2, "head": {"seq": 900, "hash": "ab" * 32}}
    Platform(monkeypatch, audit_verification=found)
    assert run(audit, "verify")[1] == "valid: 900 events (512 in 2 sealed segments), head 900 abababababab\n"


def test_segments_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "0000000000000001-0000000000000512"
    one = {"name": name, "earliest": "2026-01-01T00:00:00Z", "latest": "2026-02-01T00:00:00Z", "bytes": 4096}
    one |= {"sha256": "ab" * 32, "place": "s3://acme/segments", "removedAt": None}
    monkeypatch.setenv("ML_PLATFORM_TOKEN", "token")
    monkeypatch.setattr(PlatformClient, "pages", lambda *_arguments, **_options: iter([one]))
    status, text, error = run(audit, "segments")
    assert (status, error) == (0, None)
    assert text.splitlines()[1].split() == [name, "2026-01-01", "2026-02-01", "4096", "abababababab"]
    assert "in s3://acme/segments" in text
    monkeypatch.setattr(PlatformClient, "pages", lambda *_arguments, **_options: iter(()))
    assert run(audit, "segments")[1] == "no events are sealed\n"


def test_seal_waits_for_its_end_and_a_dry_run_asks_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = {"before": "2026-01-01T00:00:00Z", "first": 1, "last": 512, "events": 512, "segments": ["a-b"]}
    plan |= {"store": "/srv/segments", "held": None}
    sealing = {"id": "1", "state": "running", "segments": 0, "events": 0, "bytes": 0, "reason": None}
    ended = {**sealing, "state": "done", "segments": 1, "events": 512, "bytes": 99}
    platform = Platform(monkeypatch, audit_sealing_plan=plan, seal_audit=sealing, audit_sealing=ended)
    status, text, _ = run(audit, "seal", "--dry-run")
    assert (status, platform.sent) == (0, [("audit_sealing_plan",)])
    assert text == "512 events (1 to 512) would go to /srv/segments:\n  a-b\n"
    assert run(audit, "seal")[:2] == (0, "done: 512 events in 1 segments, 99 bytes\n")
    Platform(monkeypatch, seal_audit=sealing, audit_sealing={**ended, "state": "held", "reason": "audit:log is held"})
    status, text, _ = run(audit, "seal")
    assert status == 1
    assert "audit:log is held" in text
    Platform(monkeypatch, audit_sealing_plan={**plan, "events": 0, "segments": [], "held": "audit:log is held"})
    text = run(audit, "seal", "--dry-run")[1]
    assert "nothing would be sealed: audit:log is held" in text
    assert "nothing is to be sealed" in text


def exporting(monkeypatch: pytest.MonkeyPatch, content: bytes, sha256: str, state: str = "done") -> Platform:
    def stream(file: Path) -> None:
        file.write_bytes(content)

    pack = {"id": "1", "state": "pending", "written": 0, "events": None}
    ended = {**pack, "state": state, "reason": "why", "events": 4, "bytes": len(content), "sha256": sha256}
    return Platform(
        monkeypatch, export_evidence=pack, evidence_pack=ended, download_evidence=lambda _pack, file: stream(file)
    )


def test_export_waits_and_fetches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    platform = exporting(monkeypatch, b"zip", hashlib.sha256(b"zip").hexdigest())
    file = tmp_path / "q1.zip"
    wish = ["export", "--from", "2026-01-01", "--to", "2026-04-01T02:00:00+02:00", "--control", "CC8.1", "-o", file]
    status, text, error = run(evidence, *wish)
    assert (status, error) == (0, None), text
    sent = {
        "from": "2026-01-01T00:00:00+00:00",
        "to": "2026-04-01T00:00:00+00:00",
        "sampleSize": 25,
        "control": "CC8.1",
    }
    assert platform.sent[0] == ("export_evidence", sent)
    assert file.read_bytes() == b"zip"
    _, _, error = run(evidence, *wish)
    assert isinstance(error, CliError)
    assert "is there already" in error.message
    assert run(evidence, *wish, "--force")[0] == 0


def test_export_says_why_there_is_no_pack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    exporting(monkeypatch, b"", "", state="failed")
    wish = ["export", "--from", "2026-01-01", "--to", "2026-04-01"]
    _, _, error = run(evidence, *wish, "-o", tmp_path / "q1.zip")
    assert isinstance(error, CliError)
    assert error.message == "the pack could not be written: why"
    _, _, error = run(evidence, *wish, "-o", tmp_path / "no" / "q1.zip")
    assert isinstance(error, CliError)
    assert "there is no folder" in error.message
    assert run(evidence, "export", "--from", "January", "--to", "2026-04-01")[0] == 2


def test_a_download_that_was_damaged_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Response:
        def iter_bytes(self, _size: int) -> list[bytes]:
            return [b"other"]

        def __enter__(self) -> "Response":
            return self

        def __exit__(self, *_: object) -> None: ...

    client = PlatformClient("http://127.0.0.1:9", "token")
    monkeypatch.setattr(client._transport, "stream", lambda *_: Response())
    with pytest.raises(ClientError, match="damaged on its way"):
        client.download_evidence({"id": "1", "sha256": "0" * 64}, tmp_path / "q1.zip")
    assert list(tmp_path.iterdir()) == []


def test_verify_works_without_a_platform(record: Record, tmp_path: Path) -> None:
    pack, key = record.pack(tmp_path / "pack.zip", *DAY), tmp_path / "key.pub"
    key.write_text(record.public.encoded)
    status, text, error = run(evidence, "verify", pack, "--key", key)
    assert (status, error) == (0, None)
    assert text.startswith("VALID\n")
    pack.write_bytes(pack.read_bytes()[:100])
    status, _, error = run(evidence, "verify", pack, "--key", key)
    assert status == 2
    assert isinstance(error, CliError)
    assert "no zip file" in error.message


def test_a_model_repository_is_told_what_to_install(
    record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlplatform.cli.commands.evidence as command

    monkeypatch.setattr(command, "find_spec", lambda _name: None)
    (tmp_path / "file").write_text("x")
    _, _, error = run(evidence, "verify", tmp_path / "file", "--key", tmp_path / "file")
    assert isinstance(error, CliError)
    assert "pip install ml-platform-evidence" in (error.fix or "")
