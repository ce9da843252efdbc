"""The data that the model is trained and judged on.

It is the Wisconsin diagnostic breast cancer data set, which ships inside scikit-learn: measurements of cell nuclei in
digitised images of fine needle aspirates, one row a patient, without anything that tells who the patient is. Replace
the two functions that ``model.yaml`` names under ``data`` with your own; they take no arguments and return a DataFrame.
"""

import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

TARGET = "malignant"

HOLDOUT_SHARE = 0.35
SPLIT_SEED = 20


def training_data() -> pd.DataFrame:
    """Return the rows that the model may learn from."""
    return _split()[0]


def holdout_data() -> pd.DataFrame:
    """Return the rows that the model is judged on and never sees in training."""
    return _split()[1]


def _split() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split by a fixed seed of its own, so that every version of the model is judged on the same rows."""
    frame = load_breast_cancer(as_frame=True).frame
    frame.columns = [column.replace(" ", "_") for column in frame.columns]
    frame[TARGET] = 1 - frame.pop("target")  # scikit-learn has 0 for malignant
    training, holdout = train_test_split(
        frame, test_size=HOLDOUT_SHARE, random_state=SPLIT_SEED, stratify=frame[TARGET]
    )
    return training.sort_index(), holdout.sort_index()
