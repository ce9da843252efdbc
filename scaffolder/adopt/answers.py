"""Decide what the golden path's questions are answered with: what was given, then what was found, then what is asked."""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scaffolder.adopt.errors import AnswersNeeded
from scaffolder.adopt.survey.facts import Survey
from scaffolder.errors import InvalidAnswer
from scaffolder.names import NAME_LENGTH, check_name, reserved_names, shortened

TEMPLATE_ANSWERS = ("name", "type", "description", "owner", "system", "cost_centre", "tier", "org", "ci")
OWN_ANSWERS = {
    "target": "the column that holds the truth",
    "evaluator": "classifier or regressor",
    "classification": "how sensitive the data is: public, internal, confidential, pii or sensitive-pii",
    "uri": "where the data comes from, as s3://bucket/path",
    "training": "the training function, package.module:function",
    "training_data": "the function that returns the rows to learn from, package.module:function",
    "holdout_data": "the function that returns the rows to be judged on, package.module:function",
}
"""What ``model.yaml`` needs besides the template's answers; what nobody says becomes a mark to be filled in."""
NOBODY = "group:default/unknown"
CLASSIFICATIONS = ("public", "internal", "confidential", "pii", "sensitive-pii")

Ask = Callable[[str, str | None], str | None]
"""Asks a person: from a question and a proposal to the answer, or nothing for "leave it open"."""


@dataclass(frozen=True)
class Answers:
    """The answers, to the template and for ``model.yaml``."""

    template: Mapping[str, Any]
    own: Mapping[str, str | None]

    @property
    def name(self) -> str:
        """The model's name."""
        return str(self.template["name"])

    @property
    def kind(self) -> str:
        """The golden path."""
        return str(self.template["type"])


def decide(
    survey: Survey, given: Mapping[str, Any], kind: str | None, ask: Ask | None, *, required: bool = True
) -> Answers:
    """Return all answers; where they are not ``required``, :data:`NOBODY` stands for an owner that nobody names.

    Raises:
        InvalidAnswer: an answer is unknown or not acceptable.
        AnswersNeeded: nobody says who owns the model.
    """
    for name in given:
        known = (*TEMPLATE_ANSWERS, *OWN_ANSWERS)
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            fix = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            raise InvalidAnswer(f"there is no question {shortened(name)}", fix=fix)
    if kind is not None and given.get("type", kind) != kind:
        raise InvalidAnswer(f"type is given twice, as {kind!r} and as {shortened(str(given['type']))}")
    template: dict[str, Any] = {name: given[name] for name in TEMPLATE_ANSWERS if name in given}
    template["name"] = check_name(str(given["name"])) if "name" in given else _possible(survey.name.value)
    template["type"] = kind or given.get("type") or survey.kind.value
    description = survey.description.value if survey.description is not None else f"The model {template['name']}."
    template.setdefault("description", description)
    if survey.org is not None:
        template.setdefault("org", survey.org.value)
    if "GitLab CI" in (systems := [guess.value for guess in survey.ci]) and "GitHub Actions" not in systems:
        template.setdefault("ci", "gitlab")
    if "owner" not in template:
        template["owner"] = _owner(survey, ask, required=required)
    return Answers(template, _own(survey, given, ask))


def _possible(name: str) -> str:
    """Return a name that a model may have, near to the one that was found."""
    if {name, name.replace("-", "_")} & reserved_names():
        name = f"{name[: NAME_LENGTH - 6].rstrip('-')}-model"
    return check_name(name)


def _owner(survey: Survey, ask: Ask | None, *, required: bool) -> str:
    if survey.owner is not None:
        return survey.owner.value
    hint = f" ({'; '.join(note for note in survey.notes if 'commits' in note)})" if survey.notes else ""
    answer = ask(f"Which group owns it{hint}?", None) if ask is not None else None
    if not answer and not required:
        return NOBODY
    if not answer:
        raise AnswersNeeded(
            f"nothing in the repository says which group owns the model{hint}",
            fix="say it with --data owner=group:default/TEAM",
        )
    return answer


def _own(survey: Survey, given: Mapping[str, Any], ask: Ask | None) -> dict[str, str | None]:
    found: dict[str, str | None] = dict.fromkeys(OWN_ANSWERS)
    found["target"] = survey.target.value if survey.target is not None else None
    found["evaluator"] = survey.evaluator.value if survey.evaluator is not None else None
    found["uri"] = survey.uri.value if survey.uri is not None else None
    found["training"] = survey.ready.entrypoint if survey.ready is not None else None
    found |= {name: str(given[name]) for name in OWN_ANSWERS if name in given}
    if ask is not None:
        for name in ("target", "evaluator", "classification"):
            if found[name] is None:
                found[name] = ask(f"{OWN_ANSWERS[name][:1].upper()}{OWN_ANSWERS[name][1:]}?", None) or None
    if found["classification"] not in {None, *CLASSIFICATIONS}:
        raise InvalidAnswer(f"classification is one of {', '.join(CLASSIFICATIONS)}, not {found['classification']!r}")
    if found["evaluator"] not in {None, "classifier", "regressor"}:
        raise InvalidAnswer(f"evaluator is classifier or regressor, not {found['evaluator']!r}")
    return found
