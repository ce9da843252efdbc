"""What the model looks at: the members of a message, in the order of ``schema.inputs`` in ``model.yaml``."""

import pandas as pd

FEATURES = [f"f{number}" for number in range(1, 10)]


def inputs(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the model's inputs from a frame that may hold more than them.

    Raises:
        KeyError: a column is missing; the message names it.
    """
    return frame[FEATURES].astype("float64")
