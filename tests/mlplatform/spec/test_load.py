"""What people get to read when their model.yaml is wrong: where, what, how to put it right."""

import json
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from mlplatform.spec import schema
from mlplatform.spec.load import SpecError, describe, load_spec
from mlplatform.spec.reader import MAX_BYTES
from tests.mlplatform.repositories import MODEL_YAML


def faults(tmp_path: Path, text: str | bytes) -> list[tuple[int, int, str, str, str | None]]:
    file = tmp_path / "model.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SpecError) as caught:
        load_spec(file)
    return [(fault.line, fault.column, fault.path, fault.message, fault.fix) for fault in caught.value.faults]


def changed(old: str, new: str) -> str:
    assert old in MODEL_YAML
    return MODEL_YAML.replace(old, new)


def test_a_good_file_is_loaded_also_by_its_folder(tmp_path: Path) -> None:
    (tmp_path / "model.yaml").write_text(MODEL_YAML)
    assert load_spec(tmp_path) == load_spec(tmp_path / "model.yaml")
    assert load_spec(tmp_path).cost_centre == "cc-100"


MEANT = "did you mean `thresholds`?"
LIMIT = "The metric must be at least this."
NAME_FORM = "use lower-case letters, digits and single hyphens, for example `credit-risk`"
THRESHOLD = "validation.thresholds[0]"
MINIMUM = f"30:32 {THRESHOLD}.minimum"
NO_LIMIT = "give at least one of `minimum`, `maximum` or `maxRegression`"
NO_SUCH_DATA = "validation.dataset 'wine-holdup' is not in data (wine-train, wine-holdout)"
OWNER_FORM = "write the kind out, for example `group:default/risk`"
ENTRY_AT = "17:3 training.entrypoint"
ENTRY_FORM = "write `package.module:function`, for example `wine.train:train`"
CASES = {
    "misspelt": ("thresholds:", "treshold:", "29:3 validation.treshold", "unknown field `treshold`", MEANT),
    "snake case": ("costCentre:", "cost_centre:", "4:1 cost_centre", "unknown field `cost_centre`", "did you mean `costCentre`?"),
    "choice": ("type: realtime", "type: realtim", "2:1 type", '"realtim" is not accepted', "did you mean `realtime`?"),
    "text for number": ("minimum: 0.7", 'minimum: "0.7"', MINIMUM, '"0.7" is not a number', LIMIT),
    "truth for number": ("minimum: 0.7", "minimum: true", MINIMUM, "true is not a number", LIMIT),
    "not a number": ("minimum: 0.7", "minimum: .nan", MINIMUM, "NaN is not a finite number", LIMIT),
    "empty range": ("minimum: 0.7", "minimum: 0.9, maximum: 0.8", MINIMUM, "minimum 0.9 is above maximum 0.8", None),
    "no limit": (", minimum: 0.7", "", f"30:7 {THRESHOLD}", NO_LIMIT, None),
    "reference": ("dataset: wine-holdout", "dataset: wine-holdup", "27:3 validation.dataset", NO_SUCH_DATA, None),
    "traversal": ("name: wine\n", "name: ../wine\n", "1:1 name", '"../wine" has the wrong form', NAME_FORM),
    "template": ("name: wine\n", 'name: "{{ 7 * 7 }}"\n', "1:1 name", '"{{ 7 * 7 }}" has the wrong form', NAME_FORM),
    "long": ("name: wine\n", "name: " + "w" * 300 + "\n", "1:1 name", "has 300 characters, at most 63 are accepted", None),
    "number for text": ("name: wine\n", "name: 7\n", "1:1 name", "7 is not text", "Name of the model, unique on the platform."),
    "kind left out": ("owner: group:default/risk", "owner: risk", "3:1 owner", '"risk" has the wrong form', OWNER_FORM),
    "entry point": ("wine.train:train", "wine/train.py", ENTRY_AT, '"wine/train.py" has the wrong form', ENTRY_FORM),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_fault_is_told_with_its_place_and_its_fix(tmp_path: Path, case: str) -> None:
    old, new, where, message, fix = CASES[case]
    (found,) = faults(tmp_path, changed(old, new))
    assert (f"{found[0]}:{found[1]} {found[2]}", *found[3:]) == (where, message, fix)


def test_a_missing_field_is_told_where_it_belongs(tmp_path: Path) -> None:
    (found,) = faults(tmp_path, changed("  target: target\n", ""))
    assert found[2:4] == ("validation.target", "`target` is missing")
    assert found[0] == 25, "the line of `validation:`"


def test_all_faults_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = changed("type: realtime", "type: streem").replace("evaluator: classifier", "evaluator: classifer")
    assert [fault[2] for fault in faults(tmp_path, text)] == ["type", "validation.evaluator"]


def test_a_description_is_one_that_editors_can_jump_to(tmp_path: Path) -> None:
    file = tmp_path / "model.yaml"
    file.write_text(MODEL_YAML + "tier: 4\n")
    with pytest.raises(SpecError) as caught:
        load_spec(file)
    assert describe("model.yaml", caught.value.faults[0]).startswith("model.yaml:31:1: tier: 4 is not accepted\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x 1\nb: *x\n", "anchors and aliases"),
        ("a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n", "anchors and aliases"),
        ("<<: {a: 1}\n", "unknown field `<<`"),
        ("a: !!python/object/apply:os.system ['true']\n", "tags ("),
        ("name: !env HOME\n", "tags ("),
        ("name: wine\nname: beer\n", "`name` is given twice"),
        ("data:\n  - {name: a, name: b}\n", "`name` is given twice"),
        ("[" * 5000, "is nested more than"),
        ("a: [" + "1," * 30_000 + "]", "has more than"),
        ("name: wine\n---\nname: beer\n", "more than one YAML document"),
        ("name: [wine\n", "is not valid YAML"),
        ("name: wine\n\tother: 1\n", "is not valid YAML"),
        ("", "is empty"),
        ("- a\n", "must be a mapping"),
        ("wine", "must be a mapping"),
        ("? [a, b]\n: 1\n", "has a key that is not text"),
        (b"name: \xff\xfe\n", "is not UTF-8"),
        (b"name: \x00\n", "is not valid YAML"),
        (b"#" * (MAX_BYTES + 1), "is larger than 1024 KiB"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_hostile_yaml_is_refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    found = faults(tmp_path, text)
    assert any(message in fault[3] for fault in found), found


def test_a_twice_given_key_names_both_lines(tmp_path: Path) -> None:
    (found,) = faults(tmp_path, "name: wine\ntype: batch\nname: beer\n")
    assert (found[0], found[4]) == (3, "it stands in line 1 already; keep one of the two")


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"there is no model\.yaml"):
        load_spec(tmp_path / "model.yaml")


def test_the_checked_in_schema_is_current() -> None:
    assert schema.CHECKED_IN.read_text(encoding="utf-8") == schema.rendered(), "run python -m mlplatform.spec.schema"


def test_the_schema_is_valid_and_agrees_with_the_loader(tmp_path: Path) -> None:
    document = schema.json_schema()
    jsonschema.Draft202012Validator.check_schema(document)
    validator = jsonschema.Draft202012Validator(document)
    good = YAML(typ="safe").load(MODEL_YAML)
    validator.validate(good)
    for change in ({"treshold": 1}, {"type": "streem"}, {"name": "../x"}, {"tier": 9}, {"data": []}):
        assert not validator.is_valid(good | change)
        faults(tmp_path, json.dumps(good | change))
