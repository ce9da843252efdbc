"""The uploaded tar is hostile until it is unpacked."""

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from backend.core.errors import PayloadTooLarge, PlatformError
from backend.registry.bundle import BundleLimits, InvalidBundle, keep, pack, unpack

LIMITS = BundleLimits(bytes=100_000, files=20)
GOOD = {
    "model/MLmodel": b"flavors: {}\n",
    "model/data/weights.bin": b"\x00" * 100,
    "environment/model.yaml": b"name: wine\n",
    "environment/pyproject.toml": b"[project]\n",
    "environment/uv.lock": b"version = 1\n",
}


def tar(files: dict[str, bytes], *extra: tarfile.TarInfo, mode: str = "w") -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode=mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in extra:
            archive.addfile(info)
    return sink.getvalue()


def link(name: str, target: str, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def unpacked(tmp_path: Path, data: bytes, limits: BundleLimits = LIMITS) -> Path:
    source = tmp_path / "bundle.tar"
    source.write_bytes(data)
    unpack(source, tmp_path / "out", limits)
    return tmp_path / "out"


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_good_bundle_is_unpacked_whole(tmp_path: Path, mode: str) -> None:
    out = unpacked(tmp_path, tar(GOOD, mode=mode))
    assert {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()} == GOOD


@pytest.mark.parametrize(
    ("fault", "data"),
    [
        ("climbs", tar({**GOOD, "model/../../evil": b"x"})),
        ("absolute", tar({**GOOD, "/tmp/evil": b"x"})),
        ("outside", tar({**GOOD, "other/file": b"x"})),
        ("backslash", tar({**GOOD, "model\\..\\evil": b"x"})),
        ("long name", tar({**GOOD, "model/" + "a" * 500: b"x"})),
        ("symbolic link", tar(GOOD, link("model/link", "/etc/passwd", tarfile.SYMTYPE))),
        ("hard link", tar(GOOD, link("model/link", "model/MLmodel", tarfile.LNKTYPE))),
        ("device", tar(GOOD, link("model/null", "", tarfile.CHRTYPE))),
        ("fifo", tar(GOOD, link("model/fifo", "", tarfile.FIFOTYPE))),
        ("no model", tar({name: content for name, content in GOOD.items() if not name.startswith("model/")})),
        ("no lock", tar({name: content for name, content in GOOD.items() if not name.endswith("uv.lock")})),
        ("not a tar", b"hello"),
        ("empty", b""),
        ("damaged gzip", tar(GOOD, mode="w:gz")[:-30]),
        ("cut off", tar(GOOD)[:1200]),
    ],
)
def test_what_is_no_bundle_is_refused_and_writes_nothing_outside(tmp_path: Path, fault: str, data: bytes) -> None:
    with pytest.raises(InvalidBundle):
        unpacked(tmp_path, data)
    assert {path.name for path in tmp_path.iterdir()} <= {"bundle.tar", "out"}, fault


def test_the_same_name_twice_is_refused(tmp_path: Path) -> None:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        for content in (b"first", b"second"):
            info = tarfile.TarInfo("model/MLmodel")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    with pytest.raises(InvalidBundle, match="twice"):
        unpacked(tmp_path, sink.getvalue())


def test_a_bomb_is_refused_by_what_it_unpacks_to(tmp_path: Path) -> None:
    bomb = gzip.compress(tar({**GOOD, "model/zeros": b"\0" * 5_000_000}))
    assert len(bomb) < 10_000
    with pytest.raises(PayloadTooLarge, match="unpacks to more than"):
        unpacked(tmp_path, bomb)
    assert sum(path.stat().st_size for path in (tmp_path / "out").rglob("*") if path.is_file()) <= LIMITS.bytes


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match="more than 20 files"):
        unpacked(tmp_path, tar({**GOOD, **{f"model/{number}": b"" for number in range(30)}}))


def test_a_kept_bundle_is_packed_the_same_each_time_and_comes_back_whole(tmp_path: Path) -> None:
    place = keep(unpacked(tmp_path, tar(GOOD)), tmp_path / "artefacts", "d" * 64)
    first, second = b"".join(pack(place)), b"".join(pack(place))
    assert first == second
    again = tmp_path / "again"
    again.mkdir()
    out = unpacked(again, first)
    assert {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()} == GOOD
