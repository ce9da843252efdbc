"""Both doors give the same bytes: Copier's own environment renders the sources as the toolkit's does."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import HealthCheck, given, settings
from jinja2 import FileSystemLoader
from jinja2.sandbox import SandboxedEnvironment

from mlplatform.generate import environment as toolkit
from mlplatform.generate.render import OPENAPI, document, render
from scaffolder import derived
from scaffolder.toolkit import read_sources
from tests.mlplatform.generate.specs import CASES, Json, as_spec, documents


@cache
def copier_environment() -> SandboxedEnvironment:
    """Copier's environment on a template that holds what a release adds; the rest of a template is not needed."""
    folder = Path(mkdtemp(prefix="template-"))
    for name, content in derived.template_files(read_sources()).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    extensions = ["jinja2_ansible_filters.AnsibleCoreFiltersExtension"]
    return SandboxedEnvironment(loader=FileSystemLoader(folder), extensions=extensions, **toolkit.ENVOPS)


def by_copier(written: Json) -> dict[str, str]:
    """Render as Copier does with the questions of ``derived.yml``, from the document as somebody wrote it."""
    jinja = copier_environment()
    text = jinja.from_string(
        "{% from 'generate/_complete.jinja' import complete %}"
        "{% set schema %}{% include 'generate/_schema.jinja' %}{% endset %}{% set schema = schema | from_json %}"
        "{{ complete(written, schema, schema['$defs']) }}"
    ).render(written=written)
    answers = {"spec": json.loads(text), "name": "an answer of the template", "type": "another"}
    answers["derived"] = json.loads(jinja.get_template("generate/_paths.jinja").render(answers))
    return {path: jinja.get_template(f"template/{path}.jinja").render(answers) for path in answers["derived"]}


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents())
def test_copier_derives_what_the_toolkit_derives(written: Json) -> None:
    expected = {path: text for path, text in render(as_spec(written)).items() if path != OPENAPI}
    assert by_copier(written) == expected


@pytest.mark.parametrize("case", CASES)
def test_copier_derives_what_the_toolkit_derives_of_awkward_ones(case: str) -> None:
    written = CASES[case]
    assert by_copier(written) == {path: text for path, text in render(as_spec(written)).items() if path != OPENAPI}


def test_sources_read_nothing_but_the_document() -> None:
    jinja = toolkit.environment()
    spec = document(as_spec(CASES["plain"]))
    with pytest.raises(Exception, match="'owner' is undefined"):
        jinja.from_string("{{ owner }}").render(spec=spec)


def test_the_release_excludes_what_is_not_derived() -> None:
    text = derived.template_files(read_sources())["derived.yml"].decode()
    lines = text[text.index("_exclude:") :].splitlines()[2:]
    pattern = "\n".join(line.removeprefix("    ") for line in lines)
    paths = render(as_spec(CASES["kserve"]))
    excluded = copier_environment().from_string(pattern).render(derived=[path for path in paths if path != OPENAPI])
    assert {
        "/deploy/kubernetes",
        "/deploy/kserve/triton",
        "/asyncapi.json",
        "/deploy/kserve/triton/config.pbtxt",
    } <= set(excluded.split())
    assert not {f"/{path}" for path in paths} & set(excluded.split())
    assert "/deploy" not in excluded.split()


def test_rendering_imports_neither_copier_nor_its_filters() -> None:
    code = (
        "import sys; from mlplatform.generate.render import render; "
        "print(sorted({'copier', 'jinja2_ansible_filters', 'mlflow', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
