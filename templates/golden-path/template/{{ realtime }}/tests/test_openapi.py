"""The API that the catalog shows is the one that the model server has."""

import json
from pathlib import Path

from mlplatform.serving.openapi import document
from mlplatform.spec.model import ModelSpec


def test_openapi_json_is_current(spec: ModelSpec) -> None:
    served = document(spec, name=spec.name, version="1", environment="production")
    assert json.loads(Path("openapi.json").read_text(encoding="utf-8")) == json.loads(json.dumps(served)), (
        "run `make openapi`"
    )
