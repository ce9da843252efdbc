"""Who may write what in the embedded MLflow: people their own, whom the policies permit anybody's, nobody the platform's.

Whose an experiment, run, logged model or trace is stands in its tag :data:`OWNER_TAG`. The platform sets it when the thing
is made; its owner may hand the thing to one of their groups by setting it again. Whoever owns an experiment may also
write what is in it. The experiment ``Default`` belongs to nobody and takes everybody's runs.

The rules are about MLflow's tracking store (``mlflow.store.tracking.abstract_store.AbstractStore``, the interface of
MLflow's store plugins), not about its URLs: there is one store and there are many spellings of a request.
"""

import unicodedata
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, Protocol

from backend.audit.service import PLATFORM
from backend.identity.principal import Principal

OWNER_TAG = "mlplatform.owner"
MODEL_TAG = "mlplatform.model"
EXPERIMENT_PREFIX = "ml-platform/"
"""Names of the platform's own experiments begin so; nobody else's may."""
DEFAULT_EXPERIMENT = "0"
ARTEFACT_ROOT = "mlflow-artifacts:/"

_OUR_TAGS = "mlplatform."
# MLflow reads and deletes what is at these places, so they are for MLflow to set.
_PLACE_TAGS = frozenset({"mlflow.artifactlocation", "mlflow.trace.archivelocation"})
_SPAN_TAG = "mlflow.traceTag."
_NOT_FOUND = "RESOURCE_DOES_NOT_EXIST"

Arguments = dict[str, Any]
"""Arguments of a store's method by name; a rule may change them."""
After = Callable[[], None] | None
"""What is left to do once the store has done it."""


class NotAllowed(Exception):
    """The caller may not do this; the message says why and what to do instead."""


class _Tag(Protocol):
    @property
    def key(self) -> str: ...

    @property
    def value(self) -> str: ...


class WriteRules:
    """The rules for one caller's writes to ``store``; ``may_manage`` says whether the caller may write what is other people's.

    It is asked once at most, and not at all by who writes what is their own: runs log metrics many times a second.
    """

    def __init__(self, store: Any, principal: Principal, may_manage: Callable[[Principal], bool]) -> None:
        self._store, self._principal, self._may_manage = store, principal, may_manage
        self._own = {principal.ref, *principal.groups}

    @cached_property
    def _manages(self) -> bool:
        return self._may_manage(self._principal)

    def check(self, operation: str, arguments: Arguments) -> After:
        """Hold a call of a store's method against the rules; return what is to be done after it.

        Raises:
            NotAllowed: the caller may not do this.
            MlflowException: what is to be written does not exist.
        """
        rule = _RULES.get(operation)
        if rule is None:
            raise NotAllowed(f"{operation} is not offered here: the embedded MLflow does tracking only")
        if self._principal.ref == PLATFORM:
            raise NotAllowed(f"{PLATFORM} is the platform itself, which does not come in this way")
        return rule(self, arguments)

    def may_write_artefact(self, path: str) -> None:
        """Check that the caller may write or delete what lies at a path below the artefact root.

        Raises:
            NotAllowed: the caller may not, or the path is no run's, logged model's or trace's.
        """
        experiment_id, *rest = path.split("/")
        if rest[:1] in (["models"], ["traces"]):
            kind, rest = rest[0], rest[1:]
        else:
            kind = "runs"
        if len(rest) < 2 or rest[1] != "artifacts" or any(part in {"", ".", ".."} for part in path.split("/")):
            raise NotAllowed(f"{path[:200]} is no place for artefacts of a run, logged model or trace")
        check = {"runs": self._run, "models": self._logged_model, "traces": self._trace}[kind]
        if check(rest[0]) != experiment_id:
            raise NotAllowed(f"{rest[0]} has its artefacts under another experiment than {experiment_id}")

    # What is written. Each returns the id of the experiment that it is in.

    def _experiment(self, experiment_id: str) -> str:
        experiment = self._store.get_experiment(str(experiment_id))
        self._not_the_platforms(experiment)
        self._owned(f"the experiment {experiment.name}", experiment.tags.get(OWNER_TAG))
        return str(experiment.experiment_id)

    def _room(self, experiment_id: str) -> str:
        """Check that something may be added to an experiment."""
        if str(experiment_id) != DEFAULT_EXPERIMENT:
            return self._experiment(experiment_id)
        self._not_the_platforms(self._store.get_experiment(DEFAULT_EXPERIMENT))
        return DEFAULT_EXPERIMENT

    def _run(self, run_id: str) -> str:
        run = self._store.get_run(run_id)
        return self._inside(f"the run {run_id}", run.data.tags.get(OWNER_TAG), run.info.experiment_id)

    def _logged_model(self, model_id: str) -> str:
        model = self._store.get_logged_model(model_id, allow_deleted=True)
        return self._inside(f"the logged model {model_id}", model.tags.get(OWNER_TAG), model.experiment_id)

    def _trace(self, trace_id: str) -> str:
        trace = self._store.get_trace_info(trace_id)
        return self._inside(f"the trace {trace_id}", trace.tags.get(OWNER_TAG), trace.experiment_id)

    def _inside(self, what: str, owner: str | None, experiment_id: str) -> str:
        experiment = self._store.get_experiment(str(experiment_id))
        self._not_the_platforms(experiment)
        if owner == PLATFORM:
            raise NotAllowed(f"{what} was made by the platform, which alone writes it")
        if experiment.tags.get(OWNER_TAG) not in self._own:
            self._owned(what, owner)
        return str(experiment.experiment_id)

    def _not_the_platforms(self, experiment: Any) -> None:
        # Whatever came in here has its artefacts where MLflow puts them; only the platform's own lie elsewhere.
        elsewhere = experiment.artifact_location != f"{ARTEFACT_ROOT}{experiment.experiment_id}"
        if elsewhere or experiment.tags.get(OWNER_TAG) == PLATFORM or experiment.name.startswith(EXPERIMENT_PREFIX):
            raise NotAllowed(f"the experiment {experiment.name} was made by the platform, which alone writes it")

    def _owned(self, what: str, owner: str | None) -> None:
        if owner in self._own or self._manages:
            return
        raise NotAllowed(
            f"{what} belongs to {owner or 'nobody'}, not to {self._principal.ref}; "
            "work in an experiment of your own: mlflow.set_experiment"
        )

    # What is written into it.

    def _name(self, name: str) -> None:
        if _folded(name).startswith(EXPERIMENT_PREFIX):
            raise NotAllowed(f"names of experiments that begin with {EXPERIMENT_PREFIX} are the platform's")

    def _key(self, key: str) -> None:
        folded = _folded(key)
        if folded.startswith(_OUR_TAGS) or folded in _PLACE_TAGS:
            raise NotAllowed(f"the tag {key[:100]} is set by the platform only")

    def _tag(self, key: str, value: str) -> None:
        if key != OWNER_TAG:
            self._key(key)
        elif value not in self._own and not (value != PLATFORM and self._manages):
            raise NotAllowed(f"{OWNER_TAG} can be {self._principal.ref} or one of its groups, not {value[:100]}")

    def _tags(self, tags: Iterable[_Tag]) -> None:
        for tag in tags:
            self._tag(tag.key, tag.value)

    def _with_owner(self, tags: Iterable[_Tag] | None, make: Callable[[Any, Any], _Tag]) -> list[_Tag]:
        given = list(tags or ())
        self._tags(given)
        if any(tag.key == OWNER_TAG for tag in given):
            return given
        return [*given, make(OWNER_TAG, self._principal.ref)]

    def _metrics(self, metrics: Iterable[Any]) -> None:
        for model_id in {metric.model_id for metric in metrics or ()} - {None, ""}:
            self._logged_model(model_id)

    def _exists(self, trace_id: str) -> bool:
        from mlflow.exceptions import MlflowException

        try:
            self._store.get_trace_info(trace_id)
        except MlflowException as error:
            if error.error_code != _NOT_FOUND:
                raise
            return False
        return True

    # One rule for each thing that a store can be told to do.

    def _create_experiment(self, arguments: Arguments) -> None:
        from mlflow.entities import ExperimentTag

        if arguments.get("artifact_location"):
            raise NotAllowed("the platform decides where artefacts lie; leave artifact_location out")
        self._name(arguments["name"])
        arguments["tags"] = self._with_owner(arguments.get("tags"), ExperimentTag)

    def _rename_experiment(self, arguments: Arguments) -> None:
        self._experiment(arguments["experiment_id"])
        self._name(arguments["new_name"])

    def _change_experiment(self, arguments: Arguments) -> None:
        self._experiment(arguments["experiment_id"])
        self._tags([arguments["tag"]] if "tag" in arguments else [])
        self._key(arguments.get("key", ""))

    def _create_run(self, arguments: Arguments) -> None:
        from mlflow.entities import RunTag

        self._room(arguments["experiment_id"])
        arguments["tags"] = self._with_owner(arguments.get("tags"), RunTag)

    def _change_run(self, arguments: Arguments) -> None:
        self._run(arguments["run_id"])
        self._tags([arguments["tag"]] if "tag" in arguments else arguments.get("tags") or [])
        self._key(arguments.get("key", ""))
        self._metrics([arguments["metric"]] if "metric" in arguments else arguments.get("metrics") or [])

    def _log_outputs(self, arguments: Arguments) -> None:
        self._run(arguments["run_id"])
        for output in arguments["models"]:
            self._logged_model(output.model_id)

    def _create_logged_model(self, arguments: Arguments) -> None:
        from mlflow.entities import LoggedModelTag

        self._room(arguments["experiment_id"])
        if arguments.get("source_run_id"):
            self._run(arguments["source_run_id"])
        arguments["tags"] = self._with_owner(arguments.get("tags"), LoggedModelTag)

    def _change_logged_model(self, arguments: Arguments) -> None:
        self._logged_model(arguments["model_id"])
        self._tags(arguments.get("tags") or [])
        self._key(arguments.get("key", ""))

    def _start_trace(self, arguments: Arguments) -> None:
        trace = arguments["trace_info"]
        self._room(trace.experiment_id)
        if self._exists(trace.trace_id):
            self._trace(trace.trace_id)
        # Clients send back what the server once told them; the store sets these by itself.
        tags = {key: value for key, value in trace.tags.items() if _folded(key) not in _PLACE_TAGS}
        for key, value in tags.items():
            self._tag(key, value)
        trace.tags = {OWNER_TAG: self._principal.ref, **tags}
        for assessment in trace.assessments:
            assessment.assessment_id = None  # the store would take over another trace's assessment of that id

    def _log_spans(self, arguments: Arguments) -> After:
        self._room(arguments["location"])
        new = []
        for trace_id in {span.trace_id for span in arguments["spans"]}:
            if self._exists(trace_id):
                self._trace(trace_id)
            else:
                new.append(trace_id)
        for span in arguments["spans"]:
            for name in span.attributes:
                if name.startswith(_SPAN_TAG):
                    self._key(name.removeprefix(_SPAN_TAG))

        def after() -> None:
            for trace_id in new:
                self._store.set_trace_tag(trace_id, OWNER_TAG, self._principal.ref)

        return after

    def _change_trace(self, arguments: Arguments) -> None:
        self._trace(arguments["trace_id"])
        if "value" in arguments:
            self._tag(arguments["key"], arguments["value"])
        else:
            self._key(arguments.get("key", ""))

    def _create_assessment(self, arguments: Arguments) -> None:
        self._trace(arguments["assessment"].trace_id)

    def _delete_traces(self, arguments: Arguments) -> None:
        if not arguments.get("trace_ids"):
            self._experiment(arguments["experiment_id"])
        for trace_id in arguments.get("trace_ids") or ():
            if self._exists(trace_id):
                self._trace(trace_id)

    def _link_traces(self, arguments: Arguments) -> None:
        self._run(arguments["run_id"])
        for trace_id in arguments["trace_ids"]:
            self._trace(trace_id)


def _folded(text: str) -> str:
    """Return a text as the most forgiving database would compare it."""
    return unicodedata.normalize("NFKC", text).strip().casefold()


_RULES: dict[str, Callable[[WriteRules, Arguments], After]] = {
    "create_experiment": WriteRules._create_experiment,
    "rename_experiment": WriteRules._rename_experiment,
    "delete_experiment": WriteRules._change_experiment,
    "restore_experiment": WriteRules._change_experiment,
    "set_experiment_tag": WriteRules._change_experiment,
    "delete_experiment_tag": WriteRules._change_experiment,
    "create_run": WriteRules._create_run,
    "update_run_info": WriteRules._change_run,
    "delete_run": WriteRules._change_run,
    "restore_run": WriteRules._change_run,
    "set_tag": WriteRules._change_run,
    "delete_tag": WriteRules._change_run,
    "log_param": WriteRules._change_run,
    "log_metric": WriteRules._change_run,
    "log_batch": WriteRules._change_run,
    "log_inputs": WriteRules._change_run,
    "record_logged_model": WriteRules._change_run,
    "log_outputs": WriteRules._log_outputs,
    "create_logged_model": WriteRules._create_logged_model,
    "finalize_logged_model": WriteRules._change_logged_model,
    "delete_logged_model": WriteRules._change_logged_model,
    "log_logged_model_params": WriteRules._change_logged_model,
    "set_logged_model_tags": WriteRules._change_logged_model,
    "delete_logged_model_tag": WriteRules._change_logged_model,
    "start_trace": WriteRules._start_trace,
    "log_spans": WriteRules._log_spans,
    "log_spans_async": WriteRules._log_spans,
    "set_trace_tag": WriteRules._change_trace,
    "delete_trace_tag": WriteRules._change_trace,
    "delete_traces": WriteRules._delete_traces,
    "create_assessment": WriteRules._create_assessment,
    "update_assessment": WriteRules._change_trace,
    "delete_assessment": WriteRules._change_trace,
    "link_traces_to_run": WriteRules._link_traces,
}
