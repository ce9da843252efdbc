"""The documentation names what there is, and nothing that is not there."""

import re
from pathlib import Path

import pytest

from backend.core.config import Settings
from mlplatform.cli.table import COMMANDS
from mlplatform.gates.result import Gate
from mlplatform.spec.load import load_spec
from techdocs import reference

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "techdocs" / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in [*PAGES, ROOT / "README.md"])


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"completion", "whoami"}))
def test_every_command_is_used_somewhere(command: str) -> None:
    assert re.search(rf"platform {command}\b", TEXT)


def test_no_command_is_made_up() -> None:
    made_up = set(re.findall(r"[`$] ?platform ([a-z]+)", TEXT)) - set(COMMANDS)
    assert made_up == set()


@pytest.mark.parametrize("gate", list(Gate))
def test_every_gate_has_a_line_for_who_reads_its_failure(gate: Gate) -> None:
    assert f"`{gate}`" in (DOCS / "how-to" / "read-a-failed-gate.md").read_text(encoding="utf-8")


def test_every_decision_is_listed() -> None:
    index = (DOCS / "adr" / "index.md").read_text(encoding="utf-8")
    navigation = (ROOT / "techdocs" / "mkdocs.yml").read_text(encoding="utf-8")
    for decision in (DOCS / "adr").glob("[0-9]*.md"):
        assert f"({decision.name})" in index, decision.name
        assert f"adr/{decision.name}" in navigation, decision.name


def test_every_setting_that_is_named_exists() -> None:
    # Behind a dot it is a section of Backstage's own, such as catalog.providers.mlPlatform.
    for path in set(re.findall(r"(?<!\.)mlPlatform\.([A-Za-z.]+[A-Za-z])", TEXT)):
        model: object = Settings
        for name in path.split("."):
            fields = {field.alias: field for field in getattr(model, "model_fields", {}).values()}
            assert name in fields, f"mlPlatform.{path}"
            model = fields[name].annotation


def test_every_make_target_that_is_named_exists() -> None:
    # An adopted repository has targets of its own.
    files = [ROOT / "Makefile", ROOT / "scaffolder" / "adopt" / "merge" / "texts.py"]
    makefile = "\n".join(file.read_text(encoding="utf-8") for file in files)
    for target in set(re.findall(r"[`$] ?make ([a-z-]+)", TEXT)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_checked_in_model_yaml_of_the_how_to_is_not_a_fantasy(tmp_path: Path) -> None:
    page = (DOCS / "how-to" / "ship-your-own-model.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    head = (
        "name: loans\ntype: realtime\nowner: group:default/risk\ncostCentre: risk\n"
        "training: {entrypoint: my_model.train:train}\n"
        "schema: {inputs: [{name: region, type: string}], outputs: [{name: prediction, type: long}]}\n"
    )
    file = tmp_path / "model.yaml"
    file.write_text(head + "\n".join(blocks), encoding="utf-8")
    spec = load_spec(file)
    assert spec.dataset(spec.validation.dataset).load == "my_model.data:holdout_data"


def test_the_reference_says_what_the_code_says() -> None:
    assert {
        page.name: page.read_text(encoding="utf-8") for page in reference.FOLDER.glob("*.md")
    } == reference.pages(), "run `python -m techdocs.reference`"
