"""Personal data inside of models as MLflow saves them, in every format that it has for scikit-learn."""

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature
from mlflow.sklearn import save_model
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, OneHotEncoder, OrdinalEncoder

from mlplatform.pii import scan_artefact

PEOPLE = [
    *("Ada Lovelace", "Grace Hopper", "Tom Miller", "Anna Kowalska", "Carlos Hernandez", "Olga Petrova"),
    *("Emma Johnson", "David Thompson", "Sarah Williams", "James Anderson"),
]
MAILS = [f"{name.lower().replace(' ', '.')}@example.com" for name in PEOPLE]
LABELS = [0, 1] * 5
FORMATS = ["skops", "cloudpickle", "pickle"]


def kinds(folder):
    return {finding.entity for finding in scan_artefact(folder).findings if finding.certain}


def saved(tmp_path, model, fmt, frame=None, **options):
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    if fmt == "skops":
        options["skops_trusted_types"] = [
            "sklearn.neighbors._kd_tree.KDTree",
            "sklearn.metrics._dist_metrics.EuclideanDistance64",
        ]
    save_model(model, str(tmp_path / "m"), serialization_format=fmt, pip_requirements=["scikit-learn"], **options)
    return tmp_path / "m"


@pytest.mark.slow
@pytest.mark.parametrize("fmt", FORMATS)
class TestSavedModels:
    @pytest.mark.parametrize("encoder", [OneHotEncoder, OrdinalEncoder], ids=lambda made: made.__name__)
    @pytest.mark.parametrize(
        ("values", "kind"), [(MAILS, "EMAIL_ADDRESS"), (PEOPLE, "PERSON")], ids=["mails", "people"]
    )
    def test_categories_of_encoders_within_a_pipeline(self, tmp_path, fmt, encoder, values, kind):
        frame = pd.DataFrame({"who": values, "x": np.arange(10.0)})
        model = make_pipeline(
            ColumnTransformer([("who", encoder(), ["who"])], remainder="passthrough"), LogisticRegression()
        )
        assert kind in kinds(saved(tmp_path, model.fit(frame, LABELS), fmt))

    def test_labels(self, tmp_path, fmt):
        assert "EMAIL_ADDRESS" in kinds(saved(tmp_path, LabelEncoder().fit(MAILS), fmt))

    @pytest.mark.parametrize("made", [CountVectorizer, TfidfVectorizer], ids=lambda made: made.__name__)
    def test_vocabularies(self, tmp_path, fmt, made):
        model = make_pipeline(made(token_pattern=r"\S+"), LogisticRegression())
        assert "EMAIL_ADDRESS" in kinds(
            saved(tmp_path, model.fit([f"mail from {mail}" for mail in MAILS], LABELS), fmt)
        )

    def test_training_rows_that_a_model_keeps(self, tmp_path, fmt):
        model = KNeighborsClassifier(1, algorithm="kd_tree").fit(np.arange(10.0).reshape(-1, 1), MAILS)
        assert "EMAIL_ADDRESS" in kinds(saved(tmp_path, model, fmt))

    def test_an_input_example(self, tmp_path, fmt):
        frame = pd.DataFrame({"surname": [name.split()[1] for name in PEOPLE], "x": np.arange(10.0)})
        model = make_pipeline(ColumnTransformer([("x", "passthrough", ["x"])]), LogisticRegression()).fit(frame, LABELS)
        signature = infer_signature(frame, LABELS)
        folder = saved(tmp_path, model, fmt, signature=signature, input_example=frame.head(5))
        assert "PERSON" in kinds(folder)

    def test_categories_of_wine_are_nobodys(self, tmp_path, fmt):
        frame = pd.DataFrame(
            {"grape": ["Merlot", "Syrah", "Pinot Noir", "Riesling", "Malbec"] * 2, "x": np.arange(10.0)}
        )
        model = make_pipeline(ColumnTransformer([("g", OneHotEncoder(), ["grape"])]), LogisticRegression())
        assert kinds(saved(tmp_path, model.fit(frame, LABELS), fmt)) == set()
