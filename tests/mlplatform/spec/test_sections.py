"""The sections that only some golden paths have: which are needed, and what each of them refuses."""

from pathlib import Path

import pytest

from mlplatform.spec.load import SpecError, load_spec
from mlplatform.spec.model import TARGETS, ModelSpec, ModelType, ServingTarget
from tests.mlplatform.repositories import MODEL_YAML

BATCH = "batch: {input: shop/orders, output: shop/scores, keys: [order_id], schedule: '0 3 * * *'}\n"
SCALED = "serving: {autoscaling: {by: lag, target: 9, maxReplicas: 3}}\n"
STREAMING = "streaming: {broker: nats, input: shop.orders, output: shop.scores, deadLetter: shop.dead}\n"


def load(tmp_path: Path, kind: str, more: str) -> ModelSpec:
    (tmp_path / "model.yaml").write_text(MODEL_YAML.replace("type: realtime", f"type: {kind}") + more)
    return load_spec(tmp_path)


def fault(tmp_path: Path, kind: str, more: str) -> tuple[str, str]:
    with pytest.raises(SpecError) as caught:
        load(tmp_path, kind, more)
    (found,) = caught.value.faults
    return found.path, found.message


def test_each_type_has_its_section(tmp_path: Path) -> None:
    batch = load(tmp_path, "batch", BATCH).batch
    assert batch is not None
    assert (batch.partition, batch.engine, batch.delay.days, batch.chunk_rows) == ("date", "polars", 1, 50_000)
    streaming = load(tmp_path, "streaming", STREAMING).streaming
    assert streaming is not None
    assert (streaming.dead_letter, streaming.max_deliveries) == ("shop.dead", 5)


@pytest.mark.parametrize(
    ("kind", "more", "path", "message"),
    [
        ("batch", "", "type", "type batch needs the section `batch`"),
        ("streaming", "", "type", "type streaming needs the section `streaming`"),
        ("realtime", BATCH, "batch", "batch is a section of type batch; the type here is realtime"),
        ("streaming", BATCH + STREAMING, "batch", "batch is a section of type batch; the type here is streaming"),
        ("batch", BATCH.replace("0 3 * * *", "0 25 * * *"), "batch.schedule", "'0 25 * * *' is no cron expression of five"),
        ("batch", BATCH.replace("0 3 * * *", "0 0 3 * * *"), "batch.schedule", "is no cron expression of five fields"),
        ("batch", BATCH.replace("0 3 * * *", "daily"), "batch.schedule", "'daily' is no cron expression of five fields"),
        ("batch", BATCH.replace("shop/orders", "/etc"), "batch.input", '"/etc" has the wrong form'),
        ("batch", BATCH.replace("shop/orders", "../shop"), "batch.input", '"../shop" has the wrong form'),
        ("batch", BATCH.replace("shop/orders", "s3://shop"), "batch.input", '"s3://shop" has the wrong form'),
        ("batch", BATCH.replace("[order_id]", "[]"), "batch.keys", "is empty"),
        ("batch", BATCH.replace("shop/scores", "shop/orders/scores"), "batch.output", "would be written into what is read"),
        ("batch", BATCH.replace("shop/orders", "shop/scores_rejected"), "batch.output", "would be written into what is read"),
        ("batch", BATCH.replace("[order_id]", "[order_id, order_id]"), "batch.keys", "keys names order_id more than once"),
        ("batch", BATCH.replace("[order_id]", "[date]"), "batch.keys", "keys names date, which is the partition's column"),
        ("batch", BATCH.replace("[order_id]", "[model_version]"), "batch.keys", "which is the column with the model's version"),
        ("batch", BATCH.replace("[order_id]", "[prediction]"), "schema.outputs", "prediction, which is a key of batch.keys"),
        ("batch", BATCH.replace("[order_id]", "[order_id], partition: prediction"), "schema.outputs", "the partition's column"),
        ("batch", BATCH + "serving: {replicas: 2}\n", "serving.replicas", "is about model servers; type batch has none"),
        (
            "batch",
            BATCH + "serving: {autoscaling: {by: cpu, target: 70, maxReplicas: 3}}\n",
            "serving.autoscaling",
            "is about model servers; type batch has none",
        ),
        ("streaming", STREAMING.replace("shop.dead", "shop.orders"), "streaming", "input, output and deadLetter must differ"),
        ("streaming", STREAMING.replace("shop.orders", "shop.*"), "streaming.input", '"shop.*" has the wrong form'),
        ("streaming", STREAMING.replace("nats", "rabbit"), "streaming.broker", '"rabbit" is not accepted'),
        ("streaming", STREAMING.replace("}", ", carry: [a, b, a]}"), "streaming.carry", "carry names a more than once"),
        ("streaming", STREAMING.replace("}", ", carry: [prediction]}"), "streaming.carry", "which schema.outputs has already"),
        ("streaming", STREAMING.replace("}", ", ackWait: 0s}"), "streaming.ackWait", "ackWait must be at least 1s"),
        ("streaming", STREAMING.replace("}", ", begin: now}"), "streaming.begin", '"now" is not accepted'),
        ("streaming", STREAMING.replace("}", ", sample: messages}"), "streaming.sample", '"messages" has the wrong form'),
        ("realtime", SCALED, "serving.autoscaling.by", "is not measured"),
        (
            "realtime",
            "serving: {autoscaling: {by: cpu, target: 70, minReplicas: 0, maxReplicas: 3}}\n",
            "serving.autoscaling.minReplicas",
            "minReplicas 0 is not possible by cpu",
        ),
        (
            "realtime",
            "serving: {autoscaling: {by: cpu, target: 70, minReplicas: 4, maxReplicas: 3}}\n",
            "serving.autoscaling.minReplicas",
            "minReplicas 4 is above maxReplicas 3",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_where_it_stands(
    tmp_path: Path, kind: str, more: str, path: str, message: str
) -> None:
    where, said = fault(tmp_path, kind, more)
    assert (where, message in said) == (path, True), (where, said)


@pytest.mark.parametrize("target", list(ServingTarget))
@pytest.mark.parametrize("kind", list(ModelType))
def test_a_target_runs_the_types_that_it_can(tmp_path: Path, kind: ModelType, target: ServingTarget) -> None:
    more = {"batch": BATCH, "streaming": STREAMING}.get(kind, "") + f"serving: {{target: {target}}}\n"
    if target in TARGETS[kind]:
        assert load(tmp_path, kind, more).serving.target is target
    else:
        assert fault(tmp_path, kind, more)[1].startswith(f"serving.target {target} can't run type {kind}")
