import importlib.util
import pickle
import socket
import time
import zipfile
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn import datasets
from sklearn.preprocessing import OneHotEncoder

from mlplatform.pii import scan_artefact, scan_frame, scan_logs
from mlplatform.pii.hints import hint_of

_SPEC = importlib.util.spec_from_file_location("labelled", Path(__file__).with_name("labelled.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
labelled = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(labelled)


def certain(scan):
    return {finding.entity for finding in scan.findings if finding.certain}


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    """Neither the model nor the public-suffix list may be fetched."""

    def refuse(*arguments, **options):
        raise AssertionError("the scanner opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)


class TestColumns:
    @pytest.mark.parametrize(("column", "values", "entity"), labelled.PERSONAL, ids=lambda value: str(value)[:25])
    def test_personal_data_is_found_and_named(self, column, values, entity):
        scan = scan_frame(pd.DataFrame({column: values}), "people")
        assert entity in certain(scan), scan.findings
        (finding,) = [finding for finding in scan.findings if finding.entity == entity]
        assert finding.location == f"people.{column}"
        assert 0 < finding.count <= finding.sampled == len(values)

    @pytest.mark.parametrize(("column", "values"), labelled.PLAIN, ids=lambda value: str(value)[:25])
    def test_plain_data_raises_no_alarm(self, column, values):
        scan = scan_frame(pd.DataFrame({column: values}), "plain")
        assert not certain(scan), scan.findings

    @pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "diabetes", "digits", "linnerud"])
    def test_numeric_data_sets_are_clean_and_cheap(self, name):
        frame = getattr(datasets, f"load_{name}")(as_frame=True).frame
        started = time.process_time()
        scan = scan_frame(frame, name)
        assert scan.findings == []
        assert time.process_time() - started < 2

    def test_a_million_numbers_are_cheap(self):
        generator = np.random.default_rng(1)
        frame = pd.DataFrame(generator.random((100_000, 10)), columns=[f"x{index}" for index in range(10)])
        frame["population"] = generator.integers(0, 10**15, len(frame))
        started = time.process_time()
        assert scan_frame(frame, "big").findings == []
        assert time.process_time() - started < 2

    def test_one_address_among_thousands_of_rows_is_counted(self):
        values = ["nothing to see here"] * 4000
        values[1234] = "ask ada@example.com about it"
        (finding,) = scan_frame(pd.DataFrame({"comment": values}), "d").findings
        assert (finding.entity, finding.count, finding.sampled) == ("EMAIL_ADDRESS", 1, 4000)
        assert finding.certain

    def test_findings_never_hold_the_value(self):
        frame = pd.DataFrame({column: values[:12] for column, values, _ in labelled.PERSONAL})
        told = repr(scan_frame(frame, "people"))
        for value in [*labelled.GIVEN, *labelled.FAMILY, "example.com", "4111", "DE89", "536-90", "Main Street"]:
            assert str(value) not in told

    def test_the_same_column_twice_and_odd_names(self):
        frame = pd.DataFrame([["ada@example.com", 1, 2.0]] * 3, columns=["a", "a", ("b", 1)])
        assert certain(scan_frame(frame, "d")) == {"EMAIL_ADDRESS"}

    @pytest.mark.parametrize(
        "values",
        [
            [],
            [None, None],
            [[1, 2], {"a": 1}],
            [b"ada@example.com"],
            ["x" * 1_000_000],
            [object()],
            [pd.NaT],
            ["\ud800"],
        ],
        ids=range(8),
    )
    def test_odd_values_are_no_obstacle(self, values):
        scan_frame(pd.DataFrame({"email": pd.Series(values, dtype=object)}), "d")

    @pytest.mark.parametrize(
        ("column", "entity"),
        [
            ("customerEmail", "EMAIL_ADDRESS"),
            ("E-MAIL", "EMAIL_ADDRESS"),
            ("ip_address", "IP_ADDRESS"),
            ("HomeAddress", "STREET_ADDRESS"),
            ("LAST_NAME", "PERSON"),
            ("cardinality", None),
            ("panel", None),
            ("mailbox_size", None),
            ("celltype", None),
        ],
    )
    def test_column_names_are_read_word_by_word(self, column, entity):
        assert hint_of(column).entity == entity


class Exploding:
    """Whoever unpickles this notices."""

    def __reduce__(self):
        return (pytest.fail, ("the pickle was loaded",))


def encoder(values):
    return OneHotEncoder().fit(pd.DataFrame({"who": values}))


class TestArtefacts:
    def test_pickles_are_read_and_never_loaded(self, tmp_path):
        content = {"model": Exploding(), "owner": "ada@example.com", "rest": list(range(10))}
        (tmp_path / "model.pkl").write_bytes(pickle.dumps(content))
        scan = scan_artefact(tmp_path)
        (finding,) = [finding for finding in scan.findings if finding.certain]
        assert (finding.entity, finding.location, finding.count) == ("EMAIL_ADDRESS", "model/model.pkl", 1)

    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_all_pickle_protocols(self, tmp_path, protocol):
        (tmp_path / "model.pkl").write_bytes(pickle.dumps(["ada@example.com"], protocol=protocol))
        assert certain(scan_artefact(tmp_path)) == {"EMAIL_ADDRESS"}

    @pytest.mark.parametrize("compress", [0, ("zlib", 3), ("gzip", 3), ("bz2", 3), ("xz", 3)])
    def test_categories_that_an_encoder_kept(self, tmp_path, compress):
        mails = [f"{name.lower()}@example.com" for name in labelled.FAMILY if name.isascii() and "'" not in name]
        joblib.dump(encoder(mails), tmp_path / "encoder.joblib", compress=compress)
        assert "EMAIL_ADDRESS" in certain(scan_artefact(tmp_path))

    def test_names_that_an_encoder_kept(self, tmp_path):
        (tmp_path / "encoder.pkl").write_bytes(pickle.dumps(encoder(labelled.PEOPLE)))
        assert "PERSON" in certain(scan_artefact(tmp_path))

    @pytest.mark.parametrize("values", [labelled.PEOPLE, labelled.IBANS], ids=["people", "ibans"])
    def test_skops_archives(self, tmp_path, values):
        import skops.io

        skops.io.dump(encoder(values), tmp_path / "model.skops")
        scan = scan_artefact(tmp_path)
        assert certain(scan) == {"IBAN_CODE" if values is labelled.IBANS else "PERSON"}
        assert scan.findings[0].location.startswith("model/model.skops:")

    def test_arrays_of_text(self, tmp_path):
        np.savez(tmp_path / "vocabulary.npz", words=np.array(["ada@example.com", "word"]))
        (tmp_path / "raw.bin").write_bytes(b"\x80\x00\xff" + np.array(["bob@example.com"]).tobytes() + b"\x00\xfe")
        locations = {finding.location for finding in scan_artefact(tmp_path).findings if finding.certain}
        assert locations == {"model/vocabulary.npz:words.npy", "model/raw.bin"}

    def test_the_input_example_is_read_by_column(self, tmp_path):
        frame = pd.DataFrame({"age": [41, 52, 63], "surname": ["Lovelace", "Hopper", "Tanaka"]})
        (tmp_path / "input_example.json").write_text(frame.to_json(orient="split", index=False))
        (finding,) = scan_artefact(tmp_path).findings
        assert (finding.entity, finding.location) == ("PERSON", "model/input_example.json.surname")

    def test_secrets_in_configuration(self, tmp_path):
        (tmp_path / "conf.yaml").write_text("store: postgresql://ml:hunter2@db.internal/features\n")
        assert certain(scan_artefact(tmp_path)) == {"SECRET"}

    def test_an_ordinary_model_is_clean(self, tmp_path):
        from mlflow.models import infer_signature
        from mlflow.sklearn import save_model
        from sklearn.ensemble import RandomForestClassifier

        frame = datasets.load_breast_cancer(as_frame=True)
        model = RandomForestClassifier(20, random_state=1).fit(frame.data, frame.target)
        for name, options in (("skops", {}), ("pickle", {"serialization_format": "cloudpickle"})):
            folder = tmp_path / name
            save_model(
                model,
                str(folder),
                signature=infer_signature(frame.data, frame.target),
                input_example=frame.data.head(3),
                pip_requirements=["scikit-learn"],
                **({"skops_trusted_types": ["sklearn.tree._tree.Tree"]} if name == "skops" else options),
            )
            scan = scan_artefact(folder)
            assert not certain(scan), scan.findings
            assert scan.files >= 5

    def test_archives_that_unpack_to_gigabytes_are_cut_off(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "bomb.skops", "w", zipfile.ZIP_DEFLATED) as archive:
            for index in range(4):
                archive.writestr(f"{index}.bin", b"\x00" * 40_000_000)
        started = time.process_time()
        scan = scan_artefact(tmp_path)
        assert any("too large" in note for note in scan.notes)
        assert time.process_time() - started < 20

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\x80",
            b"\x80\x04",
            b"PK\x03\x04damaged",
            b"\x93NUMPYdamaged",
            b"\x1f\x8bdamaged",
            b"[" * 100_000,
            b"\x80\x05\x8e\xff\xff\xff\xff\xff\xff\xff\x7f",
        ],
        ids=range(8),
    )
    def test_damaged_files_are_no_obstacle(self, tmp_path, content):
        (tmp_path / "file.bin").write_bytes(content)
        assert scan_artefact(tmp_path).files == 1

    def test_links_are_not_followed(self, tmp_path):
        (tmp_path / "out.txt").write_text("ada@example.com")
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "link").symlink_to(tmp_path / "out.txt")
        assert scan_artefact(tmp_path / "model").files == 0


class TestLogs:
    def test_lines_with_personal_data_and_secrets_are_counted(self, tmp_path):
        lines = ["epoch 1 loss 0.25", "row of ada@example.com dropped", "connecting with password=hunter2"] * 2
        (tmp_path / "train.log").write_text("\n".join([*lines, "customer Grace Hopper has no orders"]))
        found = {finding.entity: finding for finding in scan_logs(tmp_path).findings if finding.certain}
        assert set(found) == {"EMAIL_ADDRESS", "SECRET", "PERSON"}
        assert (found["EMAIL_ADDRESS"].count, found["EMAIL_ADDRESS"].sampled) == (2, 7)

    def test_a_redacted_log_is_a_clean_log(self, tmp_path):
        import logging

        from mlplatform.redaction.logging import JsonFormatter, RedactingFilter

        handler = logging.FileHandler(tmp_path / "train.log")
        handler.addFilter(RedactingFilter())
        handler.setFormatter(JsonFormatter("train"))
        logger = logging.getLogger("test.redacted")
        logger.addHandler(handler)
        logger.warning("row of %s, password=%s, call +49 30 1234567", "ada@example.com", "hunter2")
        logger.removeHandler(handler)
        handler.close()
        assert not certain(scan_logs(tmp_path))

    def test_what_training_usually_prints_is_clean(self, tmp_path):
        (tmp_path / "train.log").write_text(
            "2026/11/24 03:20:59 INFO mlflow.sklearn: Training LogisticRegression with tokens: 512\n"
            "Epoch 1/10 loss=0.693147 val_loss=+0.6931471805 lr=1.0e-03 eta 00:12:07\n"
            "/usr/lib/python3/site-packages/sklearn/linear_model/_logistic.py:460: ConvergenceWarning: lbfgs failed\n"
            "listening on http://127.0.0.1:8080, model_uuid: 6ab551f90e1f4b5fa85afc274bf4253d\n"
            "Best parameters: {'C': 1.0, 'penalty': 'l2'}; Random Forest, Gradient Boosting; name: Wine Model\n"
        )
        scan = scan_logs(tmp_path)
        assert not certain(scan), scan.findings

    def test_no_logs_are_no_fault(self, tmp_path):
        assert scan_logs(tmp_path / "none").files == 0
