"""Model specifications for the generator: every one that pydantic accepts, and some awkward ones by name."""

import json
from datetime import timedelta
from typing import Any

import yaml
from hypothesis import assume
from hypothesis import strategies as st

from mlplatform.spec.base import NAME_PATTERN
from mlplatform.spec.model import TARGETS, ColumnType, ModelSpec, ModelType
from mlplatform.spec.quantities import format_duration

Json = dict[str, Any]

AWKWARD = (
    'Owner\'s "model": 100 % <sure> & naïve — 模型 🙂 \\ #1: - [x] {y} | > * & !t %TAG @ ` ~ null\t\x7f\x85\u2028end'
)
"""Every character that means something to YAML, JSON, PromQL, Python or a template, and some that YAML can't hold raw."""


def as_spec(document: Json) -> ModelSpec:
    """Read a document the way model.yaml is read."""
    return ModelSpec.model_validate_json(json.dumps(document), strict=True, by_alias=True, by_name=False)


def minimal(kind: str = "realtime", **members: Any) -> Json:
    """Return the shortest model.yaml of that type."""
    sections: Json = {
        "realtime": {},
        "batch": {"batch": {"input": "flights/scheduled", "output": "flights/delays", "keys": ["flight"]}},
        "streaming": {
            "streaming": {"broker": "nats", "input": "shop.orders", "output": "shop.scores", "deadLetter": "shop.dead"}
        },
    }[kind]
    return {
        "name": "churn",
        "type": kind,
        "owner": "group:default/risk",
        "costCentre": "risk",
        "data": [
            {"name": "rows", "uri": "s3://lake/rows", "role": "evaluation", "classification": "public", "load": "a:b"}
        ],
        "training": {"entrypoint": "a:b"},
        "schema": {"inputs": [{"name": "x", "type": "double"}], "outputs": [{"name": "y", "type": "long"}]},
        "validation": {
            "evaluator": "classifier",
            "dataset": "rows",
            "target": "y",
            "thresholds": [{"metric": "roc_auc", "minimum": 0.9}],
        },
        **sections,
        **members,
    }


SLOS: dict[str, list[Json]] = {
    "realtime": [
        {"name": "availability", "indicator": "availability", "objective": 99.9},
        {"name": "latency", "indicator": "latency", "objective": 99, "threshold": "0.5s"},
    ],
    "batch": [
        {"name": "runs", "indicator": "availability", "objective": 95},
        {"name": "freshness", "indicator": "freshness", "objective": 99, "threshold": "30h"},
    ],
    "streaming": [
        {"name": "answered", "indicator": "availability", "objective": 99.5},
        {"name": "latency", "indicator": "latency", "objective": 99, "threshold": "0.25s"},
        {"name": "lag", "indicator": "lag", "objective": 99, "threshold": "1m"},
    ],
}


LONGEST = "-".join(["a" * 15] * 4)[:63]
DIGIT_FIRST = "9" + "z" * 62


def _scaling(by: str, least: int = 1) -> Json:
    return {"by": by, "target": 70, "minReplicas": least, "maxReplicas": 5}


def _case(kind: str, name: str = "churn", tier: int = 3, **serving: Any) -> Json:
    return minimal(kind, name=name, tier=tier, description=AWKWARD, slos=SLOS[kind], serving=serving)


CASES: dict[str, Json] = {
    "plain": minimal(),
    "kubernetes": _case("realtime", "3d-scan", 1, replicas=3, spot=True, drainTimeout="0s"),
    "kubernetes-cpu": _case("realtime", LONGEST, 2, autoscaling=_scaling("cpu"), gpu={"shared": False}),
    "kubernetes-requests": _case("realtime", DIGIT_FIRST, autoscaling=_scaling("requests", 0), gpu={}, spot=True),
    "kserve": _case("realtime", LONGEST, 1, target="kserve", replicas=2, spot=True),
    "kserve-cpu": _case("realtime", "0", target="kserve", autoscaling=_scaling("cpu")),
    "kserve-requests": _case("realtime", DIGIT_FIRST, 2, target="kserve", autoscaling=_scaling("requests", 0)),
    "kserve-gpu": _case("realtime", "3d-scan", 1, target="kserve", gpu={"shared": True}, autoscaling=_scaling("cpu")),
    "seldon": _case("realtime", LONGEST, 1, target="seldon", replicas=4),
    "seldon-scaled": _case("realtime", DIGIT_FIRST, target="seldon", autoscaling=_scaling("requests", 0)),
    "bentoml": _case("realtime", "3d-scan", 2, target="bentoml", gpu={}),
    "sagemaker": _case("realtime", DIGIT_FIRST, 1, target="sagemaker", resources={"cpu": "900", "memory": "4Ti"}, gpu={}),
    "sagemaker-cpu": _case("realtime", LONGEST, target="sagemaker", autoscaling=_scaling("cpu"), resources={"cpu": "1500m"}),
    "sagemaker-requests": _case("realtime", "0", target="sagemaker", autoscaling=_scaling("requests", 0)),
    "batch": _case("batch", LONGEST, 1),
    "batch-scheduled": _case("batch", DIGIT_FIRST, 2, spot=True)
    | {"batch": {**minimal("batch")["batch"], "schedule": "0 3 * * 1-5", "engine": "ray", "retries": 0}},
    "nats": _case("streaming", LONGEST, 1, autoscaling=_scaling("lag", 0)),
    "kafka": _case("streaming", DIGIT_FIRST, 2, autoscaling=_scaling("lag"), spot=True)
    | {"streaming": {**minimal("streaming")["streaming"], "broker": "kafka", "key": "customer", "carry": ["customer", "時"]}},
    "redis": _case("streaming", "3d-scan", autoscaling=_scaling("lag", 0))
    | {"streaming": {**minimal("streaming")["streaming"], "broker": "redis"}},
    "stream-cpu": _case("streaming", "0", 2, autoscaling=_scaling("cpu"), gpu={}),
    "judged-by-the-platform": minimal(slos=[
        {"name": "q", "indicator": "quality", "objective": 90},
        {"name": "d", "indicator": "drift", "objective": 0.5},
    ]),
    "easy-objectives": minimal(slos=[
        {"name": "half", "indicator": "availability", "objective": 50, "window": "36h"},
        {"name": "slow", "indicator": "latency", "objective": 0.5, "threshold": "20s", "window": "0.5s"},
        {"name": "fast", "indicator": "latency", "objective": 99.9999, "threshold": "0s"},
    ]),
}  # fmt: skip
"""Names of 63 characters and with a digit first, every serving target, broker, tier, way of scaling and kind of machine."""


def _names() -> st.SearchStrategy[str]:
    return st.one_of(
        st.from_regex(NAME_PATTERN, fullmatch=True).filter(lambda name: len(name) <= 63),
        st.sampled_from(["a", "3d-scan", "0", "-".join(["a" * 15] * 4)[:63], "9" + "z" * 62]),
    )


def _durations(least: int = 0, most: int = 10**7) -> st.SearchStrategy[str]:
    milliseconds = st.integers(least * 1000, most * 1000).map(
        lambda value: format_duration(timedelta(milliseconds=value))
    )
    return st.one_of(
        milliseconds, st.integers(least, most).map(lambda value: f"{value}s"), st.sampled_from(["1h", "90m"])
    )


def _texts(most: int, least: int = 0) -> st.SearchStrategy[str]:
    return st.one_of(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=least, max_size=min(most, 40)),
        st.just(AWKWARD[:most]),
    )


def _columns() -> st.SearchStrategy[list[Json]]:
    column = st.fixed_dictionaries(
        {"name": _texts(200, 1), "type": st.sampled_from([kind.value for kind in ColumnType])},
        optional={
            "required": st.booleans(),
            "minimum": st.one_of(st.integers(-1000, 0), st.floats(-1e6, 0)),
            "maximum": st.one_of(st.integers(0, 1000), st.floats(0, 1e6)),
            "description": _texts(500),
            "enum": st.lists(
                st.one_of(st.integers(), st.booleans(), _texts(20), st.floats(-1e9, 1e9)), min_size=1, max_size=3
            ),
        },
    )
    return st.lists(column, min_size=1, max_size=4, unique_by=lambda column: column["name"])


_CPU = st.one_of(
    st.sampled_from(["500m", "1.5", "16"]), st.integers(1, 64), st.floats(0.001, 64).map(lambda value: round(value, 3))
)
_MEMORY = st.builds(
    lambda value, unit: f"{value}{unit}", st.integers(1, 5000), st.sampled_from(["Ki", "Mi", "Gi", "Ti"])
)
_SUBJECT = st.from_regex(r"^[A-Za-z0-9_-]{1,30}(\.[A-Za-z0-9_-]{1,10})?$", fullmatch=True)
_PATH = st.from_regex(r"^[A-Za-z0-9][A-Za-z0-9_-]{0,20}(/[A-Za-z0-9][A-Za-z0-9_-]{0,20})?$", fullmatch=True)
_COLUMN = st.from_regex(r"^[A-Za-z_][A-Za-z0-9_]{0,20}$", fullmatch=True)


def _serving(kind: ModelType) -> st.SearchStrategy[Json]:
    measures = {"realtime": ["cpu", "requests"], "batch": ["cpu"], "streaming": ["cpu", "lag"]}[kind]
    autoscaling = st.builds(
        lambda by, target, least, more: {
            "by": by,
            "target": target,
            "minReplicas": max(least, int(by == "cpu")),
            "maxReplicas": least + more,
        },
        st.sampled_from(measures),
        st.integers(1, 1000),
        st.integers(0, 5),
        st.integers(1, 50),
    )
    servers: dict[str, st.SearchStrategy[Any]] = {
        "replicas": st.integers(1, 20),
        "autoscaling": st.one_of(st.none(), autoscaling),
    }
    return st.fixed_dictionaries(
        {},
        optional={
            **({} if kind is ModelType.BATCH else servers),
            "target": st.sampled_from([target.value for target in TARGETS[kind]]),
            "resources": st.fixed_dictionaries({}, optional={"cpu": _CPU, "memory": _MEMORY}),
            "spot": st.booleans(),
            "gpu": st.one_of(st.none(), st.just({}), st.fixed_dictionaries({"shared": st.booleans()})),
            "maxBatchSize": st.integers(1, 4096),
            "maxRequestBytes": st.integers(1024, 104_857_600),
            "requestTimeout": _durations(1, 600),
            "drainTimeout": _durations(0, 600),
            "startupTimeout": _durations(1, 3600),
        },
    )


def _slos() -> st.SearchStrategy[list[Json]]:
    slo = st.fixed_dictionaries(
        {
            "name": _names(),
            "indicator": st.sampled_from(["availability", "latency", "freshness", "lag", "quality", "drift"]),
            "objective": st.one_of(st.integers(1, 99), st.floats(0.001, 99.9999)),
            "threshold": _durations(),
        },
        optional={"window": _durations(60, 10**7)},
    )
    return st.lists(slo, max_size=4, unique_by=lambda slo: slo["name"])


def _sections(kind: ModelType) -> st.SearchStrategy[Json]:
    if kind is ModelType.BATCH:
        batch = st.fixed_dictionaries(
            {"input": _PATH, "output": _PATH, "keys": st.lists(_COLUMN, min_size=1, max_size=3)},
            optional={
                "schedule": st.sampled_from(["0 3 * * *", "*/15 0-6 1,15 * 1-5", None]),
                "delay": _durations(),
                "partition": _COLUMN,
                "engine": st.sampled_from(["polars", "ray"]),
                "maxRejected": st.one_of(st.integers(0, 1), st.floats(0, 1)),
                "retries": st.integers(0, 10),
                "timeout": _durations(1, 10**6),
            },
        )
        return st.fixed_dictionaries({"batch": batch})
    if kind is ModelType.STREAMING:
        subjects = st.lists(_SUBJECT, min_size=3, max_size=3, unique=True)
        streaming = st.builds(
            lambda subjects, broker, more: {
                "broker": broker, "input": subjects[0], "output": subjects[1], "deadLetter": subjects[2], **more,
            },
            subjects,
            st.sampled_from(["nats", "kafka", "redis"]),
            st.fixed_dictionaries(
                {},
                optional={
                    "key": st.one_of(st.none(), _texts(200, 1)),
                    "carry": st.lists(_texts(200, 1), max_size=3),
                    "maxInFlight": st.integers(1, 65_536),
                    "maxDeliveries": st.integers(1, 100),
                    "ackWait": _durations(1, 3600),
                },
            ),
        )  # fmt: skip
        return st.fixed_dictionaries({"streaming": streaming})
    return st.just({})


@st.composite
def documents(draw: st.DrawFn) -> Json:
    """Draw the document of any model.yaml that is accepted: as short or as long as people write it."""
    kind = draw(st.sampled_from(list(ModelType)))
    optional = {
        "description": _texts(500),
        "system": st.sampled_from(["system:default/lending", None]),
        "tier": st.sampled_from([1, 2, 3]),
        "serving": _serving(kind),
        "slos": _slos(),
        "rollout": st.just({"steps": [7, 100], "interval": "90s", "analysis": {"latency": {"percentile": 95}}}),
        "retention": st.just({"logs": "48h"}),
        "schemaVersion": st.just(1),
    }
    document = minimal(kind.value)
    document["name"] = draw(_names())
    document["owner"] = draw(st.sampled_from(["group:default/risk", "group:risk/Credit.Team_1", "user:jo"]))
    document["costCentre"] = draw(st.from_regex(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,40}$", fullmatch=True))
    document["schema"] = {"inputs": draw(_columns()), "outputs": draw(_columns())}
    document |= draw(_sections(kind))
    document |= draw(st.fixed_dictionaries({}, optional=optional))
    assume(kind is ModelType.REALTIME or _is_accepted(document))
    return document


def _is_accepted(document: Json) -> bool:
    """Say whether folders lie apart and no column has two purposes, which is rare to go wrong."""
    try:
        as_spec(document)
    except ValueError as error:
        if " would be written into " not in str(error) and " names " not in str(error):
            raise
        return False
    return True


def alerts_of(rules: str) -> list[Json]:
    """Return the alerts of a file of rules."""
    return [rule for group in yaml.safe_load(rules)["groups"] for rule in group["rules"] if "alert" in rule]
