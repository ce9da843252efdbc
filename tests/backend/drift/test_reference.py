"""The training reference of a version: from the repository, through registration, to whoever judges by it."""

import io
import json
import tarfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest

from backend.registry.service import ArtefactDamaged
from mlplatform.reference.profile import FILE, Part, Reference
from tests.backend.conftest import Backend, Someone, Trained

pytestmark = pytest.mark.slow


@dataclass
class WithReference(Trained):
    """A trained model whose bundle holds a reference."""

    reference: bytes = b""

    def bundle(self) -> bytes:
        sink = io.BytesIO(super().bundle())
        with tarfile.open(fileobj=sink, mode="a") as archive:
            info = tarfile.TarInfo(FILE)
            info.size = len(self.reference)
            archive.addfile(info, io.BytesIO(self.reference))
        return sink.getvalue()


def of(trained: Trained, content: bytes) -> WithReference:
    return WithReference(**{one.name: getattr(trained, one.name) for one in fields(trained)}, reference=content)


def stored(digest: str) -> bytes:
    part = Part(name="all", rows=0, columns=[])
    return (
        Reference(model_digest=digest, dataset="a", answered="b", parts=[part]).model_dump_json(by_alias=True).encode()
    )


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_reference_is_kept_with_its_version_and_known_by_its_digest(
    backend: Backend, ada: Someone, trained: Any
) -> None:
    for content, said in (
        (b"nonsense", "no training reference"),
        (stored("0" * 64), "another artefact"),
        (b" " * (9 << 20), "MiB"),
    ):
        refused = ada.register(of(trained, content))
        assert refused.status_code == 422
        assert said in refused.json()["detail"]
    answer = ada.register(of(trained, stored(trained.digest)))
    assert answer.status_code == 201, answer.text
    digest = answer.json()["lineage"]["referenceDigest"]
    services = backend.services
    with services.database.read() as session:
        version = services.registry.get_version(session, "wine")
        found = services.registry.reference(version)
        assert found is not None
        assert (found.model_digest, version.lineage["referenceDigest"]) == (trained.digest, digest)
        file = services.registry.artefacts / version.bundle / FILE
        file.write_bytes(file.read_bytes() + b" ")
        with pytest.raises(ArtefactDamaged, match="was changed"):
            services.registry.reference(version)
        file.unlink()
        with pytest.raises(ArtefactDamaged, match="is gone"):
            services.registry.reference(version)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_version_without_a_reference_says_so(backend: Backend, ada: Someone, trained: Any) -> None:
    assert ada.register(trained).json()["lineage"]["referenceDigest"] is None
    with backend.services.database.read() as session:
        assert backend.services.registry.reference(backend.services.registry.get_version(session, "wine")) is None


def test_only_the_reference_of_this_very_artefact_goes_into_the_bundle(tmp_path: Path) -> None:
    from mlplatform.pipeline.bundle import reference_file
    from mlplatform.pipeline.workspace import Workspace

    workspace = Workspace(tmp_path)
    assert reference_file(workspace, "1" * 64) is None
    workspace.write(workspace.reference, json.loads(stored("1" * 64)))
    assert reference_file(workspace, "1" * 64) == workspace.reference
    assert reference_file(workspace, "2" * 64) is None
    workspace.reference.write_text("[]")
    assert reference_file(workspace, "1" * 64) is None
