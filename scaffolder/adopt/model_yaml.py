"""Write the ``model.yaml`` of an adopted repository: what is known, and marks where a person has to say it."""

import json
from collections.abc import Iterable

from mlplatform.spec.placeholders import placeholder
from scaffolder.adopt.answers import OWN_ANSWERS, Answers
from scaffolder.adopt.entry import Entry
from scaffolder.adopt.survey.facts import FoundColumn, Guess, Survey

_METRICS = {"classifier": "accuracy_score", "regressor": "r2_score"}
_TYPES = "boolean, integer, long, float, double, string or datetime"


def write_model_yaml(survey: Survey, answers: Answers, entry: Entry | None) -> str:
    """Return the file's text. Where something is marked, ``platform check`` fails and says what is missing."""
    template, own = answers.template, answers.own
    name = answers.name
    lines = [
        "# yaml-language-server: $schema=vendor/model.schema.json",
        "# Written by `platform adopt` from what it read in this repository. `platform check` names every value that is still to",
        "# be filled in.",
        "schemaVersion: 1",
        f"name: {_quoted(name)}",
        f"description: {_quoted(str(template['description']))}",
        f"type: {answers.kind}",
        f"owner: {template['owner']}",
        *([f"system: {template['system']}"] if template.get("system") else []),
        f"tier: {template.get('tier', 3)}",
        f"costCentre: {_quoted(str(template.get('cost_centre') or str(template['owner']).rpartition('/')[2]))}",
        "",
        "data:",
        *_data(survey, answers, entry, "training"),
        *_data(survey, answers, entry, "holdout"),
        "",
        "training:",
        *_training(survey, answers, entry),
        "",
        "schema:",
        "  inputs:",
        *_columns(survey.inputs, "a column that goes into the model"),
        "  outputs:",
        *_columns(survey.outputs, "a column that comes out of the model"),
        "",
        "validation:",
        f"  evaluator: {own['evaluator'] or _open(OWN_ANSWERS['evaluator'])}",
        f"  dataset: {_dataset(name, 'holdout')}",
        f"  target: {_quoted(own['target']) if own['target'] else _open(OWN_ANSWERS['target'])}",
        "  thresholds:",
        "    # No worse than the version that is live, on the same rows. Add the minimum that you promise.",
        *_threshold(own["evaluator"]),
    ]
    if answers.kind == "batch":
        lines += ["", *_batch()]
    if answers.kind == "streaming":
        lines += ["", *_streaming(survey)]
    return "\n".join(lines) + "\n"


def _data(survey: Survey, answers: Answers, entry: Entry | None, part: str) -> list[str]:
    own = answers.own
    learns = part == "training"
    given = own["training_data" if learns else "holdout_data"]
    made = (entry.training_data if learns else entry.holdout_data) if entry is not None else None
    what = "the rows to learn from" if learns else "the rows to be judged on, none of which is learnt from"
    candidates = ", ".join(one.shown() for one in survey.loaders[:3])
    seen = f" (loads data: {candidates})" if candidates else ""
    open_ = _open(f"package.module:function without arguments that returns {what} as a DataFrame{seen}")
    uri = own["uri"]
    return [
        f"  - name: {_dataset(answers.name, part)}",
        f"    uri: {_quoted(uri) if uri else _open(OWN_ANSWERS['uri'])}",
        f"    role: {'training' if learns else 'evaluation'}",
        f"    classification: {own['classification'] or _open(OWN_ANSWERS['classification'])}",
        f"    load: {given or made or open_}",
    ]


def _training(survey: Survey, answers: Answers, entry: Entry | None) -> list[str]:
    known = answers.own["training"] or (entry.training if entry is not None else None)
    candidates = ", ".join(one.shown() for one in survey.training[:3])
    seen = f" (trains: {candidates})" if candidates else ""
    what = f"package.module:function that takes a TrainingContext and returns a TrainedModel{seen}"
    return [f"  entrypoint: {known or _open(what)}"]


def _columns(found: Guess[tuple[FoundColumn, ...]] | None, what: str) -> list[str]:
    if found is None:
        return [f"    - {{name: {_open(what)}, type: {_open(_TYPES)}}}"]
    return [f"    - {{name: {_quoted(column.name)}, type: {column.type or _open(_TYPES)}}}" for column in found.value]


def _threshold(evaluator: str | None) -> Iterable[str]:
    metric = _METRICS.get(evaluator or "")
    yield f"    - metric: {metric or _open('the metric to judge by, for example roc_auc or r2_score')}"
    yield "      maxRegression: 0.02"


def _batch() -> list[str]:
    return [
        "batch:",
        f"  input: {_open('the folder of the lake that is read, for example shop/orders')}",
        f"  output: {_open('the folder of the lake that is written')}",
        f"  keys: [{_open('a column that names a row')}]",
    ]


def _streaming(survey: Survey) -> list[str]:
    brokers = {"kafka": {"kafka", "confluent_kafka", "aiokafka"}, "nats": {"nats"}, "redis": {"redis"}}
    broker = next((name for name, packages in brokers.items() if packages & survey.packages), None)
    return [
        "streaming:",
        f"  broker: {broker or _open('nats, kafka or redis')}",
        f"  input: {_open('the subject or topic that messages come from')}",
        f"  output: {_open('the subject or topic that answers go to')}",
        f"  deadLetter: {_open('the subject or topic for messages that can not be answered')}",
    ]


def _dataset(name: str, part: str) -> str:
    return f"{name[:50].rstrip('-')}-{part}"


def _open(what: str) -> str:
    return _quoted(placeholder(what))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
