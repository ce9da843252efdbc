import json
import pickle

import pytest

from mlplatform.gates.pii import body, evaluate
from mlplatform.gates.result import Outcome

from .conftest import spec_document, wine_frame


def declared(classification):
    return [{**spec_document()["data"][0], "classification": classification}]


def with_mail(frame):
    return frame.assign(contact=[f"user{number}@example.com" for number in range(len(frame))])


def test_plain_data_and_an_ordinary_model_pass(context_of):
    result = evaluate(context_of())
    assert result.outcome is Outcome.PASSED, result.summary
    assert {check.name for check in result.checks} == {"pii.data.wine-all", "pii.artefact"}


@pytest.mark.parametrize(
    ("classification", "outcome"),
    [
        ("public", Outcome.FAILED),
        ("internal", Outcome.FAILED),
        ("confidential", Outcome.FAILED),
        ("pii", Outcome.PASSED),
        ("sensitive-pii", Outcome.PASSED),
    ],
)
def test_what_data_may_hold_is_what_it_is_declared_as(context_of, classification, outcome):
    result = evaluate(context_of(with_mail(wine_frame()), data=declared(classification)))
    assert result.outcome is outcome
    if outcome is Outcome.FAILED:
        (check,) = [check for check in result.checks if check.outcome is Outcome.FAILED]
        assert check.name == "pii.data.wine-all.contact.EMAIL_ADDRESS"
        assert check.observed == "130 of 130, confidence 0.99"
        assert "classify it as pii" in check.message
    assert "user1@" not in result.model_dump_json()


def test_an_artefact_with_personal_data_fails_even_for_data_declared_pii(context_of, repository):
    (repository / "build" / "model" / "vocabulary.pkl").write_bytes(pickle.dumps(["ada@example.com"]))
    result = evaluate(context_of(data=declared("sensitive-pii")))
    assert result.outcome is Outcome.FAILED
    assert "model/vocabulary.pkl holds EMAIL_ADDRESS" in result.summary


@pytest.mark.parametrize(
    ("values", "outcome"), [(["JFK", "LGA", "JFK"], Outcome.PASSED), (["JFK", "LGA", "Ada Lovelace"], Outcome.FAILED)]
)
def test_codes_that_model_yaml_lists_are_no_names(context_of, repository, values, outcome):
    example = {"columns": ["origin"], "data": [[value] for value in values]}
    (repository / "build" / "model" / "input_example.json").write_text(json.dumps(example))
    schema = spec_document()["schema"]
    origin = {"name": "origin", "type": "string", "enum": ["EWR", "JFK", "LGA"]}
    result = evaluate(context_of(schema={**schema, "inputs": [*schema["inputs"], origin]}))
    assert result.outcome is outcome, result.summary


def test_a_log_with_personal_data_fails(context_of, repository):
    (repository / "build" / "logs").mkdir()
    (repository / "build" / "logs" / "train.log").write_text("epoch 1\ndropped row of ada@example.com\n")
    result = evaluate(context_of(data=declared("pii")))
    assert result.outcome is Outcome.FAILED
    assert "logs/train.log" in result.summary


def test_data_that_does_not_load_is_not_clean(context_of):
    result = evaluate(context_of(frame=7))
    assert result.outcome is Outcome.FAILED
    assert "can't be scanned" in result.summary


def test_the_statement_names_the_checks(context_of):
    context = context_of()
    predicate = body(evaluate(context), context)
    assert (predicate["result"], predicate["failedTests"]) == ("PASSED", [])


def test_recognisers_of_the_organisation_take_part(context_of, repository):
    form = "[{name: form, regex: 'ST-[0-9]{6}', score: 0.8}]"
    content = f"recognizers: [{{name: staff, supported_entity: STAFF_NUMBER, patterns: {form}}}]"
    (repository / "pii-recognizers.yaml").write_text(content)
    frame = wine_frame()
    result = evaluate(context_of(frame.assign(code=[f"ST-{number:06d}" for number in range(len(frame))])))
    (check,) = [check for check in result.checks if check.outcome is Outcome.FAILED]
    assert check.name == "pii.data.wine-all.code.STAFF_NUMBER"


def test_recognisers_that_are_not_usable_fail_the_gate(context_of, repository):
    (repository / "pii-recognizers.yaml").write_text("recognizers: nothing")
    result = evaluate(context_of())
    assert result.outcome is Outcome.FAILED
    assert "no list `recognizers`" in result.summary
