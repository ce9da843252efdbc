"""Makes the training reference in a model repository, from the data that the model was trained and judged on.

Inputs come from the data set of role ``reference``, else from the training data. Answers, and how far they are from the truth,
come from the evaluation data: on rows that it was trained on, a model is better than it ever will be.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mlplatform.pipeline import code
from mlplatform.pipeline.errors import StageRefused
from mlplatform.pipeline.workspace import Workspace
from mlplatform.reference.profile import ALL, MOST_PARTS, ColumnProfile, Part, Reference, Side
from mlplatform.reference.values import category_of, number_of, selected, slice_name
from mlplatform.spec.model import Column, ColumnType, DataRole, ModelSpec, Slice

if TYPE_CHECKING:
    import pandas as pd

MOST_CATEGORIES = 100
FEW_VALUES = 10
"""Numbers with so few different values are judged as categories."""
FEWEST_OF_A_CATEGORY = 5
"""Values that fewer rows have are counted together."""
LEAST_ROWS = 30
"""A part with fewer rows can't be compared with."""
_POINTS = 1000
_FEWEST_POINTS = 100
_MOST_POINTS = 200_000
_MOST_ROWS_ANSWERED = 50_000
ERROR = "error"


def write_reference(workspace: Workspace) -> Reference:
    """Make the reference of the model in ``build/model`` and write it to ``build/reference.json``.

    Raises:
        StageRefused: data can't be loaded, or the model does not answer it.
    """
    from mlplatform.training import DataLoader

    trained = workspace.trained()
    with code.inside(workspace.path):
        load = DataLoader(workspace.spec, workspace.path).load
        try:
            reference = build(workspace, trained.model_digest, load)
        except StageRefused:
            raise
        except Exception as error:
            why = code.explain(error, workspace.path)
            raise StageRefused(f"the training reference could not be made: {why}") from error
    workspace.write(workspace.reference, reference.model_dump(mode="json", by_alias=True))
    return reference


def build(workspace: Workspace, digest: str, load: Any) -> Reference:
    """Return the reference of a model."""
    spec = workspace.spec
    dataset, answered = reference_dataset(spec), spec.validation.dataset
    inputs, held_out = load(dataset), load(answered).reset_index(drop=True)
    if len(held_out) > _MOST_ROWS_ANSWERED:
        held_out = held_out.sample(_MOST_ROWS_ANSWERED, random_state=0).reset_index(drop=True)
    answers = _answers(workspace, spec, held_out)
    wanted: list[tuple[str, Slice | None]] = [(ALL, None)]
    wanted += [(slice_name(one), one) for one in slices(spec)]
    columns = len(spec.schema_.inputs) + len(spec.schema_.outputs) + 1
    points = max(_FEWEST_POINTS, min(_POINTS, _MOST_POINTS // (columns * len(wanted))))
    parts = []
    for name, part in wanted:
        own = inputs if part is None else inputs[selected(inputs, part)]
        mine = answers if part is None else answers[selected(held_out, part)]
        if part is not None and min(len(own), len(mine)) < LEAST_ROWS:
            continue
        profiles = [profile(own, column, "input", points) for column in spec.schema_.inputs]
        profiles += [profile(mine, column, "output", points) for column in spec.schema_.outputs]
        profiles.append(profile(mine, error_column(spec), "error", points))
        parts.append(Part(name=name, rows=len(own), columns=profiles))
    return Reference(model_digest=digest, dataset=dataset, answered=answered, parts=parts)


def reference_dataset(spec: ModelSpec) -> str:
    """Return the data set whose inputs are the reference: of role ``reference``, else training, else what is evaluated on."""
    for role in (DataRole.REFERENCE, DataRole.TRAINING):
        for one in spec.data:
            if one.role is role:
                return one.name
    return spec.validation.dataset


def slices(spec: ModelSpec) -> list[Slice]:
    """Return the slices of the thresholds that requests can be put into: those by an input column."""
    names = {column.name for column in spec.schema_.inputs}
    found: list[Slice] = []
    for threshold in spec.validation.thresholds:
        one = threshold.slice
        if one is not None and one.column in names and one not in found:
            found.append(one)
    return found[: MOST_PARTS - 1]


def error_column(spec: ModelSpec) -> Column:
    """Return what stands for the distance from the truth: right or wrong for a class, the absolute difference for a number."""
    is_class = spec.validation.evaluator == "classifier"
    return Column(name=ERROR, type=ColumnType.BOOLEAN if is_class else ColumnType.DOUBLE)


def error_of(spec: ModelSpec, answer: Any, truth: Any) -> bool | float | None:
    """Return how far an answer is from the truth; ``None`` where either is missing."""
    if spec.validation.evaluator == "classifier":
        said, was = category_of(answer), category_of(truth)
        return None if said is None or was is None else said != was
    said_number, was_number = number_of(answer), number_of(truth)
    return None if said_number is None or was_number is None else abs(said_number - was_number)


def profile(frame: "pd.DataFrame", column: Column, side: Side, points: int) -> ColumnProfile:
    """Return the profile of a column; one that the data does not have is not judged."""
    rows = len(frame)
    if column.name not in frame.columns:
        return _not_judged(column, side, rows, 0, "the reference data has no such column")
    values = frame[column.name].tolist()
    if column.type in (ColumnType.DATETIME, ColumnType.BINARY):
        missing = sum(value is None or value != value for value in values)
        return _not_judged(column, side, rows, missing, f"a {column.type.value} has no distribution to compare")
    if column.type in (ColumnType.BOOLEAN, ColumnType.STRING) or column.enum is not None:
        return _category(values, column, side)
    numbers = [number for value in values if (number := number_of(value)) is not None]
    different = len(set(numbers))
    if different <= FEW_VALUES and len(numbers) >= 10 * different:
        return _category([number_of(value) for value in values], column, side)
    return ColumnProfile(
        name=column.name,
        side=side,
        kind="number",
        rows=rows,
        missing=rows - len(numbers),
        points=_quantiles(sorted(numbers), points),
    )


def _category(values: Sequence[Any], column: Column, side: Side) -> ColumnProfile:
    raw = Counter(value for value in values if value is not None and value == value)
    if column.type is ColumnType.STRING and column.enum is None and len(raw) > max(MOST_CATEGORIES, raw.total() // 2):
        missing = len(values) - raw.total()
        return _not_judged(column, side, len(values), missing, "almost every row has a value of its own")
    found: Counter[str] = Counter()
    for value, count in raw.items():
        if (said := category_of(value)) is not None:
            found[said] += count
    present = found.total()
    ordered = sorted(found.items(), key=lambda one: (-one[1], one[0]))
    kept = [one for one in ordered[:MOST_CATEGORIES] if one[1] >= FEWEST_OF_A_CATEGORY]
    return ColumnProfile(
        name=column.name,
        side=side,
        kind="category",
        rows=len(values),
        missing=len(values) - present,
        counts=kept,
        other=present - sum(count for _, count in kept),
    )


def _not_judged(column: Column, side: Side, rows: int, missing: int, reason: str) -> ColumnProfile:
    return ColumnProfile(name=column.name, side=side, kind="not_judged", reason=reason, rows=rows, missing=missing)


def _quantiles(values: Sequence[float], most: int) -> list[float]:
    """Return values evenly spaced by rank, the middle of each of ``most`` parts; all of them if there are no more."""
    count = len(values)
    if count <= most:
        return [_short(value) for value in values]
    return [_short(values[int((index + 0.5) * count / most)]) for index in range(most)]


def _short(value: float) -> float:
    return float(f"{value:.9g}") if math.isfinite(value) else value


def _answers(workspace: Workspace, spec: ModelSpec, held_out: "pd.DataFrame") -> "pd.DataFrame":
    import pandas as pd

    from mlplatform.gates.evaluation import input_columns
    from mlplatform.gates.quiet_mlflow import load_pyfunc, quiet
    from mlplatform.serving.model import columns_of
    from mlplatform.serving.rows import OutputSchema

    with quiet():
        model = load_pyfunc(workspace.model)
        names = input_columns(model) or [column.name for column in spec.schema_.inputs]
        outputs = OutputSchema(spec.schema_.outputs)
        said = columns_of(model.predict(held_out[names]), outputs, len(held_out))
    frame = pd.DataFrame(dict(zip(outputs.names, said, strict=True)), index=held_out.index)
    truth = held_out[spec.validation.target].tolist()
    frame[ERROR] = pd.Series(
        [error_of(spec, answer, was) for answer, was in zip(said[0], truth, strict=True)],
        index=held_out.index,
        dtype=object,
    )
    return frame
