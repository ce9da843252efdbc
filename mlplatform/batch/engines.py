"""What carries units out: one process with Polars, or Ray Data on several machines."""

import json
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mlplatform.batch.faults import BatchFailed
from mlplatform.batch.parts import PartResult, Progress, ScoringJob, Unit, UnitScorer, as_plain, from_plain
from mlplatform.serving.model import LoadedModel, ModelUnusable, load
from mlplatform.spec.quantities import cpu_cores

if TYPE_CHECKING:
    import numpy as np

EngineName = Literal["polars", "ray"]

_logger = logging.getLogger(__name__)


def loaded(folder: Path, job: ScoringJob) -> LoadedModel:
    """Load the model.

    Raises:
        BatchFailed: it can't be used.
    """
    try:
        model = load(folder, job.spec.schema_)
    except ModelUnusable as error:
        raise BatchFailed(str(error)) from None
    except (Exception, SystemExit) as error:
        _logger.error("loading the model failed", exc_info=error)
        raise BatchFailed(f"loading the model failed: {type(error).__name__}; the log of the run has more") from None
    if not model.row_wise:
        _logger.warning("the model answers a row differently among others than alone; answers depend on chunkRows")
    return model


def run(
    engine: EngineName, model_dir: Path, job: ScoringJob, units: Sequence[Unit], progress: Progress
) -> Iterator[PartResult]:
    """Score the units with an engine; results come in any order.

    Raises:
        BatchFailed: a unit can't be scored, or the engine is not installed.
    """
    return _with_ray(model_dir, job, units, progress) if engine == "ray" else _here(model_dir, job, units, progress)


def _here(model_dir: Path, job: ScoringJob, units: Sequence[Unit], progress: Progress) -> Iterator[PartResult]:
    scorer = UnitScorer(job, loaded(model_dir, job))
    try:
        for unit in units:
            yield scorer.score(unit, progress)
    finally:
        scorer.close()


class RayScorer:
    """An actor of Ray Data: loads the model once, then answers units with results or with why there is none."""

    def __init__(self, model_dir: str, job: ScoringJob) -> None:
        scratch = job.scratch / f"actor-{os.getpid()}"
        own = ScoringJob(job.spec, job.version, job.lake, job.day, job.accepted, job.rejected, scratch)
        self._failed: BatchFailed | None = None
        try:
            self._scorer = UnitScorer(own, loaded(Path(model_dir), own))
        except BatchFailed as failed:
            self._failed = failed

    def __call__(self, batch: "dict[str, np.ndarray[Any, Any]]") -> dict[str, list[str]]:
        """Score the units of a batch."""
        answers = []
        for text in batch["unit"]:
            try:
                if self._failed is not None:
                    raise self._failed
                answers.append(
                    json.dumps(as_plain(self._scorer.score(_unit(str(text)), lambda _rows, _rejected: None)))
                )
            except BatchFailed as failed:
                answers.append(json.dumps({"failed": failed.message, "again": failed.again}))
        return {"result": answers}


def _with_ray(model_dir: Path, job: ScoringJob, units: Sequence[Unit], progress: Progress) -> Iterator[PartResult]:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise BatchFailed("batch.engine ray needs mlplatform[ray] in the model's environment") from error
    cores = max(1, int(cpu_cores(job.spec.serving.resources.cpu)))
    # RAY_ADDRESS names a cluster, whose size is its own affair; without it one is started here, for this run only.
    elsewhere = bool(os.environ.get("RAY_ADDRESS"))
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if not ray.is_initialized():
        options: dict[str, Any] = {} if elsewhere else {"num_cpus": cores, "include_dashboard": False}
        options |= {"log_to_driver": False, "logging_level": logging.ERROR}
        try:
            ray.init(**options)
        except Exception:
            if elsewhere:
                raise
            # Ray gives its own processes half a minute to start, which may be too short on a busy machine.
            ray.shutdown()
            ray.init(**options)
    try:
        ray.data.DataContext.get_current().enable_progress_bars = False
        plain = [{"unit": json.dumps(_plain_unit(unit))} for unit in units]
        scored = ray.data.from_items(plain, override_num_blocks=len(plain)).map_batches(
            RayScorer,
            fn_constructor_args=(str(model_dir), job),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(
                min_size=1, max_size=len(plain) if elsewhere else min(len(plain), cores)
            ),
            num_cpus=1,
        )
        for row in scored.iter_rows():
            answer = json.loads(row["result"])
            if "failed" in answer:
                raise BatchFailed(answer["failed"], again=answer["again"])
            result = from_plain(answer)
            progress(result.rows_in, result.rows_rejected)
            yield result
    finally:
        ray.shutdown()


def _plain_unit(unit: Unit) -> dict[str, Any]:
    return {"index": unit.index, "slices": [[piece.file, piece.start, piece.count] for piece in unit.slices]}


def _unit(text: str) -> Unit:
    from mlplatform.batch.parts import Slice

    values = json.loads(text)
    return Unit(values["index"], tuple(Slice(*piece) for piece in values["slices"]))
