"""Hyperparameters, read from ``params.toml`` at the top of the repository and checked before any training starts."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

PARAMS_FILE = Path("params.toml")


@dataclass(frozen=True)
class Params:
    """How the model is built; ``params.toml`` says what each of them does."""

    features: int
    c: float

    def __post_init__(self) -> None:
        """Refuse what would train nonsense or fail late."""
        if not isinstance(self.features, int) or isinstance(self.features, bool) or self.features < 1:
            raise ValueError(f"model.features is {self.features!r}; it must be a whole number above 0")
        if isinstance(self.c, bool) or not isinstance(self.c, int | float) or not self.c > 0:
            raise ValueError(f"model.c is {self.c!r}; it must be a number above 0")


def load_params(path: Path = PARAMS_FILE) -> Params:
    """Read the hyperparameters.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not TOML, or a value is missing, unknown or out of range.
    """
    table = tomllib.loads(path.read_text(encoding="utf-8")).get("model", {})
    unknown = sorted(set(table) - {"features", "c"})
    if unknown:
        raise ValueError(f"{path} has unknown keys under [model]: {', '.join(unknown)}")
    try:
        return Params(features=table["features"], c=table["c"])
    except KeyError as fault:
        raise ValueError(f"{path} lacks model.{fault.args[0]}") from None
