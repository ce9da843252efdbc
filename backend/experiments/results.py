"""What an experiment has come to, as JSON: figures that only ever grow, and the tests that are read off them."""

from collections.abc import Mapping
from typing import Any

from backend.experiments.compare import Compared
from backend.experiments.models import Experiment, Kind, Source
from backend.experiments.sequential import RATIO_EVIDENCE, Arm, Better, Design, Result, judge, ratio_evidence

Json = dict[str, Any]


def empty(kind: str) -> Json:
    """Return the figures of an experiment that has seen nothing yet."""
    if kind == Kind.SHADOW:
        return {
            "compared": 0,
            "agreed": 0,
            "largestDifference": 0.0,
            "unpaired": 0,
            "unreadable": 0,
            "errors": {"champion": 0, "challenger": 0},
            "milliseconds": {"champion": 0.0, "challenger": 0.0},
        }
    return {
        "keys": {"champion": 0, "challenger": 0},
        "withoutKey": 0,
        "crossed": 0,
        "predictions": 0,
        "dropped": 0,
        "outcomes": {"taken": 0, "further": 0, "repeated": 0, "conflicting": 0, "unknown": 0, "late": 0},
        "arms": {"champion": Arm().dump(), "challenger": Arm().dump()},
        "result": {"difference": None, "interval": None, "pValue": 1.0, "verdict": "undecided"},
        "split": {"evidence": 1.0, "mismatch": False},
    }


def side(experiment: Experiment, version: int) -> str:
    """Return the name of a version's role."""
    return "challenger" if version == experiment.challenger else "champion"


def add_pair(figures: Json, compared: Compared, statuses: tuple[int, int], milliseconds: tuple[float, float]) -> None:
    """Take in two answers that were compared; first the champion's, then the challenger's."""
    figures["compared"] += 1
    figures["agreed"] += compared.agrees
    figures["largestDifference"] = max(figures["largestDifference"], compared.largest)
    for name, status, took in zip(("champion", "challenger"), statuses, milliseconds, strict=True):
        figures["errors"][name] += status >= 500
        mean = figures["milliseconds"][name]
        figures["milliseconds"][name] = mean + (took - mean) / figures["compared"]


def add_value(experiment: Experiment, figures: Json, version: int, value: float) -> None:
    """Take in the outcome of a key that has had none yet."""
    name = side(experiment, version)
    arm = Arm(**figures["arms"][name])
    arm.add(value)
    figures["arms"][name] = arm.dump()


def rejudge(experiment: Experiment, figures: Json, least: int) -> None:
    """Read the test off the figures."""
    arms = {name: Arm(**values) for name, values in figures["arms"].items()}
    result = judge(arms["champion"], arms["challenger"], design_of(experiment, least), figures["result"]["pValue"])
    figures["result"] = _result_json(result)


def resplit(experiment: Experiment, figures: Json, keys: Mapping[int, int]) -> None:
    """Read off how many keys met each version whether they are split as asked."""
    met = (keys.get(experiment.champion, 0), keys.get(experiment.challenger, 0))
    evidence = ratio_evidence(*met, experiment.percent / 100)
    # Once seen it stays: the test is one for all times.
    mismatch = figures["split"]["mismatch"] or evidence >= RATIO_EVIDENCE
    figures["split"] = {"evidence": evidence, "mismatch": mismatch}


def design_of(experiment: Experiment, least: int) -> Design:
    """Return what was fixed before the first outcome."""
    better: Better = "lower" if experiment.better == "lower" or experiment.source != Source.OUTCOMES else "higher"
    return Design(
        effect=float(experiment.effect or 0),
        false_alarm_rate=float(experiment.false_alarm_rate or 0),
        better=better,
        least=least,
    )


def sentence(experiment: Experiment, figures: Json) -> str:
    """Say what an experiment has come to."""
    if experiment.kind == Kind.SHADOW:
        if not figures["compared"]:
            return "no answers were compared"
        share = figures["agreed"] / figures["compared"]
        return f"{figures['agreed']} of {figures['compared']} compared answers agree ({100 * share:.2f} %)"
    result, arms = figures["result"], figures["arms"]
    if result["difference"] is None:
        return f"{arms['champion']['count']} and {arms['challenger']['count']} keys with an outcome are too few to judge by"
    between = ""
    if result["interval"] is not None:
        low, high = result["interval"]
        between = f", between {low:.4g} and {high:.4g}"
    return (
        f"{experiment.metric} of v{experiment.challenger} minus that of v{experiment.champion} is "
        f"{result['difference']:.4g}{between} (p = {result['pValue']:.2g})"
    )


def _result_json(result: Result) -> Json:
    return {
        "difference": result.difference,
        "interval": None if result.interval is None else list(result.interval),
        "pValue": result.p_value,
        "verdict": result.verdict,
    }
