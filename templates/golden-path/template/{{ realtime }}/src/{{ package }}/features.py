"""What the model looks at: the inputs of a request, in the order of ``schema.inputs`` in ``model.yaml``."""

import pandas as pd

FEATURES = [
    "mean_radius",
    "mean_texture",
    "mean_perimeter",
    "mean_area",
    "mean_smoothness",
    "mean_compactness",
    "mean_concavity",
    "mean_concave_points",
    "mean_symmetry",
    "mean_fractal_dimension",
]


def inputs(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the model's inputs from a frame that may hold more than them.

    Raises:
        KeyError: a column is missing; the message names it.
    """
    return frame[FEATURES].astype("float64")
