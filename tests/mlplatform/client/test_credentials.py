"""Where tokens are kept, and that nobody else can read them."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlplatform.client import CredentialFault, Credentials, CredentialStore
from mlplatform.client.credentials import default_path

URL = "http://127.0.0.1:7070"


def store(tmp_path: Path, **environment: str) -> tuple[CredentialStore, list[str]]:
    warnings: list[str] = []
    return CredentialStore(tmp_path / "c" / "credentials.json", environment=environment, warn=warnings.append), warnings


def test_a_saved_token_is_found_again_and_only_for_its_platform(tmp_path: Path) -> None:
    kept, _ = store(tmp_path)
    kept.save(f"{URL}/", Credentials("one", "user:default/ada", datetime.now(UTC) + timedelta(hours=1)))
    kept.save("http://other.example", Credentials("two"))
    assert kept.require(URL).token == "one"
    assert kept.require("http://other.example").token == "two"
    with pytest.raises(CredentialFault, match="not signed in"):
        kept.require("http://third.example")


def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    kept, _ = store(tmp_path)
    kept.save(URL, Credentials("one"))
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.path.parent.stat().st_mode) == 0o700
    assert [file.name for file in kept.path.parent.iterdir()] == ["credentials.json"]


def test_wider_permissions_are_put_right_with_a_warning(tmp_path: Path) -> None:
    kept, warnings = store(tmp_path)
    kept.save(URL, Credentials("one"))
    kept.path.chmod(0o644)
    assert kept.require(URL).token == "one"
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600
    assert len(warnings) == 1
    assert "could be read by others (mode 644)" in warnings[0]


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    kept, _ = store(tmp_path, ML_PLATFORM_TOKEN="from-ci")
    kept.save(URL, Credentials("one"))
    assert kept.require(URL).token == "from-ci"


def test_an_expired_token_is_not_sent(tmp_path: Path) -> None:
    kept, _ = store(tmp_path)
    kept.save(URL, Credentials("one", None, datetime.now(UTC) - timedelta(seconds=1)))
    with pytest.raises(CredentialFault, match="expired") as caught:
        kept.require(URL)
    assert "platform login" in str(caught.value.fix)


@pytest.mark.parametrize("content", ["", "{", "[1, 2", "\x00"])
def test_a_damaged_file_says_what_to_do(tmp_path: Path, content: str) -> None:
    kept, _ = store(tmp_path)
    kept.path.parent.mkdir()
    kept.path.write_text(content)
    with pytest.raises(CredentialFault, match="is damaged") as caught:
        kept.find(URL)
    assert "remove the file" in str(caught.value.fix)


def test_a_token_never_shows() -> None:
    assert "s3cret" not in repr(Credentials("s3cret", "user:default/ada"))
    assert "s3cret" not in f"{Credentials('s3cret')}"


def test_the_file_lies_where_the_environment_says(tmp_path: Path) -> None:
    named = {"ML_PLATFORM_CREDENTIALS": str(tmp_path / "mine.json"), "ML_PLATFORM_HOME": str(tmp_path)}
    assert default_path(named) == tmp_path / "mine.json"
    assert default_path({"ML_PLATFORM_HOME": str(tmp_path)}) == tmp_path / "credentials.json"
    assert default_path({}).parts[-2:] == ("mlplatform", "credentials.json")
