"""One run: a day's partition scored by one version of a model, or found to be as that version left it.

The same version and the same input give the same bytes, so a run that finds a manifest of both changes nothing. Otherwise the
whole partition is replaced, or nothing is: first the rows that did not fit the schema (``<output>_rejected``), then the answers.
"""

import logging
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal

from mlplatform.attest.digest import artefact_digest
from mlplatform.batch.faults import BatchFailed
from mlplatform.batch.lake import Lake, LakeFile
from mlplatform.batch.manifest import (
    Identity,
    InputFile,
    Manifest,
    OutputFile,
    RejectedRule,
    digest_of,
    spec_digest,
)
from mlplatform.spec.batch import REJECTED
from mlplatform.spec.model import ModelSpec

_SHOWN_RULES = 3

Progress = Callable[[int, int, int], None]
"""Told of rows done, rows rejected, and rows in all."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DayRequest:
    """What is to be scored, by what, from where to where."""

    model_dir: Path
    spec: ModelSpec
    version: int
    environment: str
    lake: Lake
    output: Lake
    day: date
    run_id: str
    force: bool = False


@dataclass(frozen=True)
class Scored:
    """How a run ended: ``done`` when it replaced the partition, ``unchanged`` when that was as it would be."""

    outcome: Literal["done", "unchanged"]
    manifest: Manifest


def score_day(request: DayRequest, progress: Progress = lambda _done, _rejected, _total: None) -> Scored:
    """Score a day.

    Raises:
        BatchFailed: nothing was changed; says why.
    """
    batch = request.spec.batch
    if batch is None:
        raise BatchFailed(f"model.yaml is of type {request.spec.type}, so it has no `batch` section to go by")
    try:
        with request.output.alone(batch.output, batch.partition, request.day):
            return _score(request, progress)
    except BatchFailed:
        raise
    except OSError as error:
        _logger.error("the lake failed", exc_info=error)
        where = f"{Path(str(error.filename)).name}: " if error.filename else ""
        raise BatchFailed(f"the lake failed: {where}{error.strerror or type(error).__name__}", again=True) from error


def _score(request: DayRequest, progress: Progress) -> Scored:
    started, clock = datetime.now(UTC), time.perf_counter()
    batch = request.spec.batch
    assert batch is not None
    files = request.lake.files(batch.input, batch.partition, request.day)
    if not files:
        there = f"{batch.input}/{batch.partition}={request.day}"
        raise BatchFailed(f"there is no input: {there} holds no Parquet files", again=True)
    place = (batch.input, batch.partition, request.day)
    inputs = [InputFile(**vars(file), digest=request.lake.digest(*place, file)) for file in files]
    identity = Identity(
        model=request.spec.name,
        version=request.version,
        model_digest=artefact_digest(request.model_dir),
        spec_digest=spec_digest(request.spec),
    )
    if not request.force and (before := _unchanged(request, identity, inputs)):
        return Scored("unchanged", before)

    from mlplatform.batch.engines import run  # heavy: Polars, and the model's own flavour
    from mlplatform.batch.parts import PartResult, ScoringJob, merged, units_of

    counts = [(file.name, request.lake.row_count(*place, file.name)[0]) for file in files]
    total = sum(count for _, count in counts)
    accepted = request.output.stage(batch.output, batch.partition, request.day, request.run_id)
    rejected = request.output.stage(batch.output + REJECTED, batch.partition, request.day, request.run_id)
    scratch = Path(tempfile.mkdtemp(prefix="batch-"))
    done: list[PartResult] = []
    seen = [0, 0]

    def told(rows: int, wrong: int) -> None:
        seen[0] += rows
        seen[1] += wrong
        progress(seen[0], seen[1], total)

    try:
        progress(0, 0, total)
        job = ScoringJob(request.spec, request.version, request.lake, request.day, accepted, rejected, scratch)
        for part in run(batch.engine, request.model_dir, job, units_of(counts), told):
            done.append(part)
            _not_too_many(merged(done), total, batch.max_rejected)
        if request.lake.files(*place) != files:
            raise BatchFailed("the input was written while it was read; nothing was changed", again=True)
        result = merged(done)

        def manifest(written: list[OutputFile]) -> Manifest:
            return Manifest(
                identity=identity,
                environment=request.environment,
                day=request.day.isoformat(),
                run_id=request.run_id,
                engine=batch.engine,
                started_at=started,
                finished_at=datetime.now(UTC),
                rows_in=result.rows_in,
                rows_out=result.rows_in - result.rows_rejected,
                rows_rejected=result.rows_rejected,
                rejected=_rules(result.rules),
                model_seconds=round(result.model_seconds, 6),
                scoring_seconds=round(result.seconds, 6),
                input_path=f"{batch.input}/{batch.partition}={request.day}",
                input_files=inputs,
                input_digest=_digest(inputs),
                output_files=written,
                output_digest=digest_of((file.name, file.sha256) for file in written),
            )

        if result.rejected_files:
            rejected.commit(manifest(result.rejected_files))
        else:
            rejected.discard()
            request.output.remove(batch.output + REJECTED, batch.partition, request.day)
        published = manifest(result.files)
        accepted.commit(published)
    except BaseException:
        accepted.discard()
        rejected.discard()
        raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    _logger.info("scored", extra={"rows": result.rows_in, "seconds": round(time.perf_counter() - clock, 3)})
    return Scored("done", published)


def _unchanged(request: DayRequest, identity: Identity, inputs: list[InputFile]) -> Manifest | None:
    """Return the manifest of the partition if this version made it from this input, and its files are all there."""
    batch = request.spec.batch
    assert batch is not None
    before = request.output.manifest(batch.output, batch.partition, request.day)
    if before is None or before.identity != identity or before.input_digest != _digest(inputs):
        return None
    present = {file.name: file.bytes for file in request.output.files(batch.output, batch.partition, request.day)}
    named = {file.name: file.bytes for file in before.output_files}
    return before if present == named else None


def _digest(inputs: list[InputFile]) -> str:
    return digest_of((file.name, file.digest) for file in inputs)


def same_files(manifest: Manifest, files: list[LakeFile]) -> bool:
    """Say whether a partition's input looks as it did when it was scored, without reading it."""
    return [(one.name, one.bytes, one.mark) for one in manifest.input_files] == [
        (one.name, one.bytes, one.mark) for one in files
    ]


def _rules(rules: Counter[tuple[str, str]]) -> list[RejectedRule]:
    ranked = sorted(rules.items(), key=lambda item: (-item[1], item[0]))
    return [RejectedRule(column=column, rule=rule, rows=rows) for (column, rule), rows in ranked]


def _not_too_many(so_far: object, total: int, most: float) -> None:
    from mlplatform.batch.parts import PartResult

    assert isinstance(so_far, PartResult)
    if so_far.rows_rejected <= most * total:
        return
    worst = "; ".join(f"{one.column} {one.rule}: {one.rows}" for one in _rules(so_far.rules)[:_SHOWN_RULES])
    raise BatchFailed(
        f"{so_far.rows_rejected} of {total} rows don't fit the schema, at most {most:.4g} of them may "
        f"(batch.maxRejected); nothing was changed ({worst})"
    )
