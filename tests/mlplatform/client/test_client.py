"""What the client does when the platform is slow, away, or refuses."""

import io
import socket
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi import Response

from mlplatform.client import ClientError, PlatformClient, PlatformProblem, PlatformUnreachable
from tests.mlplatform.platform_double import PREFIX, TOKEN, PlatformDouble, problem

pytestmark = pytest.mark.timeout(60)


def away() -> Response:
    return Response(status_code=503)


def closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_a_read_is_repeated_until_the_platform_is_back(double: PlatformDouble) -> None:
    double.fail("GET", "/identity/me", away, away)
    with PlatformClient(double.url, TOKEN) as client:
        assert client.whoami()["ref"] == "user:default/ada"
    assert len(double.calls("GET", "/identity/me")) == 3


def test_a_write_is_repeated_with_one_and_the_same_idempotency_key(double: PlatformDouble) -> None:
    double.fail("POST", "/identity/signing-keys", away)
    with PlatformClient(double.url, TOKEN) as client:
        client.bind_signing_key("AAAA", "BBBB")
        client.bind_signing_key("AAAA", "BBBB")
    keys = [seen.headers["idempotency-key"] for seen in double.calls("POST", "/identity/signing-keys")]
    assert len(keys) == 3
    assert keys[0] == keys[1] != keys[2]


def test_the_pause_that_the_platform_asks_for_is_kept(double: PlatformDouble) -> None:
    double.fail("GET", "/identity/me", lambda: Response(status_code=503, headers={"Retry-After": "1.5"}))
    pauses: list[float] = []
    with PlatformClient(double.url, TOKEN, sleep=pauses.append) as client:
        client.whoami()
    assert pauses == [1.5]


def test_retries_end(double: PlatformDouble) -> None:
    double.fail("GET", "/identity/me", *[away] * 9)
    with (
        PlatformClient(double.url, TOKEN, attempts=3, sleep=lambda _: None) as client,
        pytest.raises(PlatformProblem) as caught,
    ):
        client.whoami()
    assert (caught.value.status, caught.value.slug) == (503, "http-503")
    assert len(double.calls("GET", "/identity/me")) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 500, 507])
def test_other_errors_are_not_repeated(double: PlatformDouble, status: int) -> None:
    double.fail("GET", "/identity/me", lambda: problem(status, "some-slug", "some detail", fix="do it", number=7))
    with PlatformClient(double.url, TOKEN) as client, pytest.raises(PlatformProblem) as caught:
        client.whoami()
    error = caught.value
    assert (error.slug, error.detail, error.fix, error.status, error.extra) == (
        "some-slug",
        "some detail",
        "do it",
        status,
        {"number": 7},
    )
    assert len(double.calls("GET", "/identity/me")) == 1


def test_nothing_answering_is_told_quickly() -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    started = time.monotonic()
    with PlatformClient(url, TOKEN, attempts=3) as client, pytest.raises(PlatformUnreachable) as caught:
        client.whoami()
    assert time.monotonic() - started < 5
    assert f"nothing answers at {url}" in caught.value.message
    assert caught.value.fix == "start it with `platform up`, or set ML_PLATFORM_URL"


def test_a_platform_that_never_answers_runs_into_the_timeout() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        client = PlatformClient(url, TOKEN, timeout=0.3, attempts=2, sleep=lambda _: None)
        with client, pytest.raises(PlatformUnreachable, match="timed out"):
            client.whoami()


@pytest.mark.parametrize(
    "answer",
    [
        lambda: Response("<html>hello</html>", status_code=404),
        lambda: Response(status_code=302, headers={"Location": "http://elsewhere.invalid/"}),
    ],
    ids=["another program", "a redirect"],
)
def test_what_is_not_the_platform_is_not_taken_for_it(double: PlatformDouble, answer: Callable[[], Response]) -> None:
    double.fail("GET", "/identity/me", answer)
    with PlatformClient(double.url, TOKEN) as client, pytest.raises(PlatformUnreachable):
        client.whoami()


def test_an_answer_that_is_no_json_is_an_error(double: PlatformDouble) -> None:
    double.fail("GET", "/identity/me", lambda: Response("<html>hello</html>"))
    with PlatformClient(double.url, TOKEN) as client, pytest.raises(ClientError, match="is not JSON"):
        client.whoami()


@pytest.mark.parametrize("url", ["", "nonsense", "ftp://127.0.0.1", "http://", "http://[::1"])
def test_a_bad_url_is_told(url: str) -> None:
    with pytest.raises(PlatformUnreachable):
        PlatformClient(url, TOKEN).whoami()


def test_registering_streams_the_bundle_again_when_it_has_to(double: PlatformDouble, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.tar"
    bundle.write_bytes(b"x" * 3_000_000)
    double.fail("POST", "/registry/models/wine/versions", away)
    with PlatformClient(double.url, TOKEN) as client:
        version, created = client.register("wine", {"modelDigest": "d"}, bundle)
        again, created_again = client.register("wine", {"modelDigest": "d"}, bundle)
    assert (created, created_again) == (True, False)
    assert version["version"] == again["version"] == 1
    assert double.bundles[1] == bundle.read_bytes()


def test_names_can_not_leave_their_place_in_the_path(double: PlatformDouble) -> None:
    with PlatformClient(double.url, TOKEN) as client, pytest.raises(ClientError):
        client.version("../../identity", "me?x=1")
    assert all(not seen.path.startswith(f"{PREFIX}/identity") for seen in double.seen)


@pytest.mark.parametrize("member", ["../outside", "/outside", "link"])
def test_a_bundle_can_not_write_outside_of_its_folder(double: PlatformDouble, tmp_path: Path, member: str) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        entry = tarfile.TarInfo(member)
        if member == "link":
            entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(entry)
    double.bundles[1] = stream.getvalue()
    folder = tmp_path / "in"
    folder.mkdir()
    with PlatformClient(double.url, TOKEN) as client:
        if member == "/outside":  # tarfile's data filter makes it relative
            client.download_bundle("wine", 1, folder)
            assert (folder / "outside").exists()
        else:
            with pytest.raises(ClientError, match="can't be unpacked"):
                client.download_bundle("wine", 1, folder)
    assert not (tmp_path / "outside").exists()


def test_pages_are_followed_up_to_the_number_wanted(double: PlatformDouble) -> None:
    with PlatformClient(double.url, TOKEN) as client:
        assert [item["seq"] for item in client.pages("/audit/events", {}, most=321)] == list(range(321))
        assert len(list(client.pages("/audit/events", {}))) == 450


def test_log_lines_come_while_they_are_written(double: PlatformDouble) -> None:
    double.log_lines = ["3/0 started"]
    with PlatformClient(double.url, TOKEN) as client:
        lines = client.logs("wine", "staging", follow=True)
        assert [next(lines) for _ in range(3)] == ["3/0 started", "3/0 tick", "3/0 tick"]
        lines.close()  # type: ignore[attr-defined]
