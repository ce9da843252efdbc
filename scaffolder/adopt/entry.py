"""The module that stands between the platform and the repository's own functions, where those were understood."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from textwrap import dedent

from scaffolder.adopt.answers import Answers
from scaffolder.adopt.survey.facts import FoundFunction, Survey

MODULE = "golden_path"
_FRAME = {
    "df",
    "data",
    "frame",
    "dataset",
    "dataframe",
    "train_df",
    "training_data",
    "train_data",
    "train",
    "table",
    "rows",
}
_INPUTS = {"x", "features", "x_train", "inputs", "xs"}
_TRUTH = {"y", "target", "targets", "labels", "label", "y_train", "ys"}
_SEED = {"seed", "random_state"}


@dataclass(frozen=True)
class Entry:
    """The module: where it goes, its text, and which entry points of ``model.yaml`` it provides."""

    path: str
    text: str
    training_data: str
    holdout_data: str
    training: str | None


def make_entry(survey: Survey, answers: Answers, taken: frozenset[str]) -> Entry | None:
    """Return the module, or nothing where no function of the repository loads its data without being told anything."""
    loader = next((one for one in survey.loaders if not one.required and one.returns == "one"), None)
    if loader is None or answers.own["training_data"] is not None:
        return None
    package, folder = _place(loader)
    name = MODULE
    while str(folder / f"{name}.py") in taken:
        name += "_entry"
    module = f"{package}.{name}" if package else name
    call = _training_call(survey, answers)
    text = _head(answers.name) + _imports(loader, call[0] if call else None) + _DATA
    if call is not None:
        text += _training(call[1])
    return Entry(
        path=str(folder / f"{name}.py"),
        text=text,
        training_data=f"{module}:training_data",
        holdout_data=f"{module}:holdout_data",
        training=f"{module}:train" if call is not None else None,
    )


def _place(loader: FoundFunction) -> tuple[str, PurePosixPath]:
    """Return the package in which the loader lies, and its folder; nothing for a script at the top."""
    root = PurePosixPath("src") if loader.file.startswith("src/") else PurePosixPath()
    package = loader.module.partition(".")[0] if "." in loader.module else ""
    return package, root / package if package else root


def _training_call(survey: Survey, answers: Answers) -> tuple[FoundFunction, str] | None:
    """Return the function that trains and its call, where each of its parameters is known for what it is."""
    if answers.own["training"] is not None or answers.own["target"] is None or "sklearn" not in survey.packages:
        return None
    for function in survey.training:
        if function.returns != "one" or not function.required:
            continue
        arguments = [_argument(name) for name in function.required]
        if None not in arguments and any(argument in {"frame", "rows"} for argument in arguments):
            return function, ", ".join(str(argument) for argument in arguments)
    return None


def _argument(name: str) -> str | None:
    plain = name.lower()
    if plain in _FRAME:
        return "frame"
    if plain in _INPUTS:
        return "rows"
    if plain in _TRUTH:
        return "frame[context.spec.validation.target]"
    return "context.seed" if plain in _SEED else None


def _head(name: str) -> str:
    return dedent(
        f'''\
        """What the platform calls, in terms of this repository's own functions.

        `platform adopt` wrote it from what it read in the code of {name}; nothing was run. Look it over once: model.yaml names
        these functions, and `platform train` is the proof.
        """

        '''
    )


def _imports(loader: FoundFunction, trainer: FoundFunction | None) -> str:
    lines = ["import pandas as pd", ""]
    if trainer is not None:
        lines = [
            "from importlib.metadata import version",
            "",
            "import mlflow.sklearn",
            "import pandas as pd",
            "from mlflow.models import ModelSignature, infer_signature",
            "from mlflow.types import ColSpec, DataType, Schema",
            "from mlplatform.training import TrainedModel, TrainingContext",
            "",
        ]
    own = {f"from {loader.module} import {loader.name} as load"}
    if trainer is not None:
        own.add(f"from {trainer.module} import {trainer.name} as fit")
    return "\n".join([*lines, *sorted(own)]) + "\n"


_DATA = '''
HOLDOUT_SHARE = 0.2
SPLIT_SEED = 20


def training_data() -> pd.DataFrame:
    """Return the rows that the model may learn from."""
    return _split()[0]


def holdout_data() -> pd.DataFrame:
    """Return the rows that the model is judged on and never sees in training."""
    return _split()[1]


def _split() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split by a fixed seed, so that every version of the model is judged on the same rows."""
    frame = load().reset_index(drop=True)
    holdout = frame.sample(frac=HOLDOUT_SHARE, random_state=SPLIT_SEED).sort_index()
    return frame.drop(index=holdout.index), holdout
'''


def _training(call: str) -> str:
    return f'''

NEEDED_TO_PREDICT = ("mlflow", "numpy", "pandas", "scikit-learn")


def train(context: TrainingContext) -> TrainedModel:
    """Train with the repository's own function, and save the model where the platform looks for it."""
    frame = context.load(next(data.name for data in context.spec.data if data.role == "training"))
    rows = frame[[column.name for column in context.spec.schema_.inputs]]
    model = fit({call})
    outputs = Schema([ColSpec(DataType[column.type], column.name) for column in context.spec.schema_.outputs])
    mlflow.sklearn.save_model(
        model,
        context.model_dir,
        signature=ModelSignature(infer_signature(rows).inputs, outputs),
        input_example=rows.head(3),
        pip_requirements=[f"{{name}}=={{version(name)}}" for name in NEEDED_TO_PREDICT],
    )
    return TrainedModel(metrics={{"training_rows": float(len(frame))}})
'''
