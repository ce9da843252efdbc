"""What the model looks at: the inputs of ``schema`` in ``model.yaml``, in their order."""

import pandas as pd

CATEGORIES = ["carrier", "origin", "dest"]
NUMBERS = ["scheduled_departure", "departure_delay", "distance"]
FEATURES = CATEGORIES + NUMBERS


def inputs(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the model's inputs from a frame that may hold more than them.

    Raises:
        KeyError: a column is missing; the message names it.
    """
    return frame[FEATURES].astype(dict.fromkeys(NUMBERS, "float64"))
