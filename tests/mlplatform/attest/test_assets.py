"""Every way an attestation can be wrong, a file each under ``tests/assets/attestations``."""

import importlib.util
from pathlib import Path

import pytest

from mlplatform.attest.dsse import parse_envelope, verify
from mlplatform.attest.errors import AttestationInvalid

_SPEC = importlib.util.spec_from_file_location("make_assets", Path(__file__).with_name("make_assets.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
made = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(made)

FILES = sorted(made.FOLDER.rglob("*.dsse.json"))
KEYS = {made.BOUND.keyid: made.BOUND.public_key}


def test_the_files_are_what_the_script_makes():
    found = {path.relative_to(made.FOLDER).as_posix(): path.read_bytes() for path in FILES}
    assert found == made.files(), "run python tests/mlplatform/attest/make_assets.py"


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name.split('.')[0]}")
def test_each_is_answered_with_its_code(path):
    wanted = path.parent.name
    if wanted == "valid":
        statement, keyid = verify(parse_envelope(path.read_bytes()), KEYS)
        assert (statement.subject.digest, statement.subject.repository, keyid) == (
            made.DIGEST,
            made.REPOSITORY,
            made.BOUND.keyid,
        )
        return
    with pytest.raises(AttestationInvalid) as caught:
        verify(parse_envelope(path.read_bytes()), KEYS)
    assert caught.value.code == wanted
    assert len(caught.value.reason) < 300
