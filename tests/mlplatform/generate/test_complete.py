"""What Copier knows of model.yaml is what the toolkit knows of it."""

import json

import pytest
from hypothesis import HealthCheck, given, settings

from mlplatform.generate.environment import environment
from mlplatform.spec import schema
from tests.mlplatform.generate.specs import Json, as_spec, documents

_COMPLETE = "{% from 'generate/_complete.jinja' import complete %}{{ complete(value, schema, schema['$defs']) }}"


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents())
def test_the_published_schema_completes_a_document_as_pydantic_does(document: Json) -> None:
    text = environment().from_string(_COMPLETE).render(value=document, schema=schema.json_schema())
    assert json.loads(text) == as_spec(document).model_dump(mode="json", by_alias=True)
    assert list(json.loads(text)) == list(as_spec(document).model_dump(mode="json", by_alias=True))
