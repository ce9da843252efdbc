import logging
import shutil
import warnings

import pytest
from mlflow.pyfunc import PythonModel
from sklearn.metrics import accuracy_score, roc_auc_score

from mlplatform.gates.context import ChampionArtefact
from mlplatform.gates.result import Outcome
from mlplatform.gates.thresholds import body, evaluate


def validation(*thresholds, **changes):
    return {
        "evaluator": "classifier",
        "dataset": "wine-all",
        "target": "target",
        "thresholds": list(thresholds),
        **changes,
    }


def check_of(result, name):
    (check,) = [check for check in result.checks if check.name == f"thresholds.{name}"]
    return check


def test_figures_are_those_that_scikit_learn_computes(context_of, repository):
    import mlflow.sklearn

    context = context_of(
        validation=validation({"metric": "roc_auc", "minimum": 0.5}, {"metric": "accuracy_score", "minimum": 0.5})
    )
    result = evaluate(context)
    frame = context.load("wine-all")
    model = mlflow.sklearn.load_model(str(repository / "build" / "model"))
    roc_auc = roc_auc_score(frame["target"], model.predict_proba(frame)[:, 1])
    assert float(check_of(result, "roc_auc.minimum").observed) == pytest.approx(roc_auc, rel=1e-5)
    accuracy = accuracy_score(frame["target"], model.predict(frame))
    assert float(check_of(result, "accuracy_score.minimum").observed) == pytest.approx(accuracy, rel=1e-5)
    assert result.outcome is Outcome.PASSED
    assert result.against[0].digest == {"sha256": "ab" * 32}


def test_a_worse_metric_fails_with_both_numbers(context_of):
    result = evaluate(context_of(validation=validation({"metric": "roc_auc", "minimum": 0.9999})))
    check = check_of(result, "roc_auc.minimum")
    assert result.outcome is check.outcome is Outcome.FAILED
    assert "below 0.9999" in result.summary
    assert check.limit == ">= 0.9999"


def test_a_maximum_holds_or_fails(context_of):
    result = evaluate(
        context_of(validation=validation({"metric": "log_loss", "maximum": 0.0001, "greaterIsBetter": False}))
    )
    assert check_of(result, "log_loss.maximum").outcome is Outcome.FAILED


def test_the_champion_is_evaluated_on_the_same_data(context_of, repository, trained):
    champion = ChampionArtefact(trained / "good", version=3, digest="cd" * 32)
    shutil.rmtree(repository / "build" / "model")
    shutil.copytree(trained / "weak", repository / "build" / "model")
    limit = {"metric": "accuracy_score", "minimum": 0.1, "maxRegression": 0.01}
    result = evaluate(context_of(champion=champion, validation=validation(limit)))
    check = check_of(result, "accuracy_score.maxRegression")
    assert check.outcome is Outcome.FAILED
    assert "worse than champion version 3's" in check.message
    assert check_of(result, "accuracy_score.minimum").outcome is Outcome.PASSED
    assert result.against[-1].digest == {"sha256": "cd" * 32}


def test_the_same_model_is_no_regression_of_itself(context_of, trained):
    champion = ChampionArtefact(trained / "good", version=3)
    limits = [
        {"metric": "roc_auc", "maxRegression": 0},
        {"metric": "log_loss", "maxRegression": 0, "greaterIsBetter": False},
    ]
    assert evaluate(context_of(champion=champion, validation=validation(*limits))).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        ("no champion yet", Outcome.PASSED),
        ("no platform: connection refused", Outcome.NOT_EVALUATED),
        (None, Outcome.NOT_EVALUATED),
    ],
)
def test_without_a_champion_it_matters_why(context_of, reason, outcome):
    limits = validation({"metric": "roc_auc", "minimum": 0.5, "maxRegression": 0.01})
    result = evaluate(context_of(champion_unavailable=reason, validation=limits))
    assert result.outcome is outcome
    assert check_of(result, "roc_auc.minimum").outcome is Outcome.PASSED


def test_a_champion_that_does_not_load_leaves_the_comparison_open(context_of, tmp_path):
    champion = ChampionArtefact(tmp_path, version=3)
    result = evaluate(context_of(champion=champion, validation=validation({"metric": "roc_auc", "maxRegression": 0.1})))
    assert result.outcome is Outcome.NOT_EVALUATED
    assert "version 3" in result.summary


def test_slices_are_judged_by_themselves(context_of):
    frame = context_of().load("wine-all")
    frame.loc[frame["hue_kind"] == "high", "target"] = 1 - frame.loc[frame["hue_kind"] == "high", "target"]
    limits = [
        {"metric": "accuracy_score", "minimum": 0.8, "slice": {"column": "hue_kind", "equals": "low"}},
        {"metric": "accuracy_score", "minimum": 0.8, "slice": {"column": "hue_kind", "equals": "high"}},
        {"metric": "accuracy_score", "minimum": 0.1, "slice": {"column": "alcohol", "minimum": 12.5, "maximum": 13.5}},
    ]
    result = evaluate(context_of(frame, validation=validation(*limits)))
    assert check_of(result, "accuracy_score[hue_kind=low].minimum").outcome is Outcome.PASSED
    assert check_of(result, "accuracy_score[hue_kind=high].minimum").outcome is Outcome.FAILED
    assert check_of(result, "accuracy_score[alcohol>=12.5,<13.5].minimum").outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"column": "hue_kind", "equals": "none such"}, "0 rows, at least 30"),
        ({"column": "nowhere", "equals": 1}, "needs the column nowhere"),
        ({"column": "hue_kind", "minimum": 1}, "needs numbers"),
        ({"column": "target", "equals": True}, "0 rows"),
    ],
)
def test_a_slice_that_can_not_be_judged_fails(context_of, part, words):
    result = evaluate(context_of(validation=validation({"metric": "accuracy_score", "minimum": 0.1, "slice": part})))
    assert result.outcome is Outcome.FAILED
    assert words in result.summary


def test_a_metric_without_meaning_on_a_one_class_slice_fails(context_of):
    part = {"column": "target", "equals": 1}
    result = evaluate(context_of(validation=validation({"metric": "roc_auc", "minimum": 0.1, "slice": part})))
    assert result.outcome is Outcome.FAILED


def test_an_unknown_metric_fails_with_the_list_of_known_ones(context_of):
    result = evaluate(context_of(validation=validation({"metric": "acuracy", "minimum": 0.5})))
    assert result.outcome is Outcome.FAILED
    assert "accuracy_score" in result.summary
    assert "roc_auc" in result.summary


def test_missing_truth_is_not_judged(context_of):
    frame = context_of().load("wine-all").astype({"target": float})
    frame.loc[3, "target"] = None
    result = evaluate(context_of(frame))
    assert result.outcome is Outcome.FAILED
    assert "missing in 1 of 130 rows" in result.summary


class NanModel(PythonModel):
    def predict(self, context, model_input):
        return model_input["alcohol"] * float("nan")


class MeanModel(PythonModel):
    def predict(self, context, model_input):
        return model_input["alcohol"] * 0 + 13.0


@pytest.mark.parametrize(("model", "outcome"), [(MeanModel(), Outcome.PASSED), (NanModel(), Outcome.FAILED)])
def test_any_flavour_of_regressor_is_judged_and_nan_fails(context_of, repository, model, outcome):
    import mlflow.pyfunc

    frame = context_of().load("wine-all")
    shutil.rmtree(repository / "build" / "model")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.pyfunc.save_model(str(repository / "build" / "model"), python_model=model, pip_requirements=[])
    limits = validation(
        {"metric": "root_mean_squared_error", "maximum": 2, "greaterIsBetter": False},
        evaluator="regressor",
        target="alcohol",
    )
    assert evaluate(context_of(frame, validation=limits)).outcome is outcome


def test_a_missing_model_fails(context_of, repository):
    shutil.rmtree(repository / "build" / "model")
    result = evaluate(context_of())
    assert result.outcome is Outcome.FAILED
    assert "can't be loaded" in result.summary


def test_nothing_is_printed_logged_or_left_behind(context_of, capfd, monkeypatch, tmp_path):
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.chdir(tmp_path)
    before = mlflow.get_tracking_uri()
    evaluate(context_of())
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""
    assert mlflow.get_tracking_uri() == before
    assert mlflow.active_run() is None
    assert logging.getLogger("mlflow").level != logging.CRITICAL
    assert [path.name for path in tmp_path.iterdir()] == ["wine"]


def test_the_statement_says_which_tests_passed_under_which_configuration(context_of):
    context = context_of(
        validation=validation({"metric": "roc_auc", "minimum": 0.5}, {"metric": "log_loss", "maximum": 0})
    )
    predicate = body(evaluate(context), context)
    assert predicate["result"] == "FAILED"
    assert predicate["passedTests"] == ["thresholds.roc_auc.minimum"]
    assert predicate["failedTests"] == ["thresholds.log_loss.maximum"]
    assert predicate["configuration"][0]["name"] == "model.yaml"
    assert len(predicate["configuration"][0]["digest"]["sha256"]) == 64
