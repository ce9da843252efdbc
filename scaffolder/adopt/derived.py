"""What follows from the new ``model.yaml``, where that is complete."""

import tempfile
from pathlib import Path

from mlplatform.spec.model import ModelSpec


def ready_spec(model_yaml: str) -> ModelSpec | None:
    """Return what a ``model.yaml`` says, or nothing while a value is to be filled in or has to be corrected."""
    from mlplatform.spec.faults import SpecError
    from mlplatform.spec.load import FILE_NAME, load_spec

    with tempfile.TemporaryDirectory(prefix="spec-") as folder:
        file = Path(folder, FILE_NAME)
        file.write_text(model_yaml, encoding="utf-8")
        try:
            return load_spec(file)
        except SpecError:
            return None


def derived_files(model_yaml: str) -> dict[str, str] | None:
    """Return what `platform generate` would write, by path, or nothing while ``model.yaml`` is not complete."""
    from mlplatform.generate.render import render

    spec = ready_spec(model_yaml)
    return render(spec) if spec is not None else None
