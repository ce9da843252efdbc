"""The PII gate: personal data where it was not declared, or where it never may be.

Data sets may hold personal data when they are declared ``pii`` or ``sensitive-pii``. The model's files and the captured
logs never may: they are copied, kept and read far more widely than the data.
"""

from typing import Any

from mlplatform.attest.digest import artefact_digest
from mlplatform.gates.context import GateContext
from mlplatform.gates.recorder import Recorder, checked_body, explain
from mlplatform.gates.result import Gate, GateResult, Reference
from mlplatform.pii import THRESHOLD, Finding, Scan, scan_artefact, scan_frame, scan_logs
from mlplatform.pii.columns import Reader
from mlplatform.pii.detectors import DetectionFailed
from mlplatform.pii.language import model_name
from mlplatform.pii.recognizers import OwnRecognizers, load_recognizers
from mlplatform.spec.model import Classification, DataReference

RECOGNIZERS = "pii-recognizers.yaml"
"""File of the repository with recognisers of the organisation's own, in Presidio's form."""
_PERSONAL = {Classification.PII, Classification.SENSITIVE_PII}
_LIMIT = f"none with a confidence of {THRESHOLD:g} or more"


def evaluate(context: GateContext) -> GateResult:
    """Scan data sets, the model's files and the captured logs."""
    record = Recorder(Gate.PII, context)
    record.tool("presidio-analyzer", "spacy", model_name())
    record.datasets([reference.name for reference in context.spec.data])
    try:
        own = _own_recognizers(context)
    except DetectionFailed as error:
        record.failed("recognizers", error.message)
        own = None
    reader = Reader(own=own)
    for reference in context.spec.data:
        _check_data(context, record, reference, reader)
    if context.model.is_dir():
        record.against.append(Reference(name="build/model", digest={"sha256": artefact_digest(context.model)}))
        listed = {
            column.name: frozenset(map(str, column.enum)) for column in context.spec.schema_.inputs if column.enum
        }
        _check_files(record, "artefact", "the model's files", scan_artefact(context.model, listed=listed, own=own))
    else:
        record.failed("artefact", "build/model does not exist: run `platform train`")
    logs = scan_logs(context.build / "logs", own=own)
    if logs.files:
        record.against.append(Reference(name="build/logs"))
        _check_files(record, "logs", "the captured logs", logs)
    return record.finish(
        f"no personal data beyond what is declared in {len(context.spec.data)} data sets, model and logs"
    )


def body(result: GateResult, context: GateContext) -> dict[str, Any]:
    """Return the predicate of the statement about the result."""
    return checked_body(result, context)


def _own_recognizers(context: GateContext) -> OwnRecognizers | None:
    path = context.repository / RECOGNIZERS
    return load_recognizers(path) if path.is_file() else None


def _check_data(context: GateContext, record: Recorder, reference: DataReference, reader: Reader) -> None:
    name = f"data.{reference.name}"
    try:
        scan = scan_frame(context.load(reference.name), reference.name, reader)
    except Exception as error:
        record.failed(name, f"data set {reference.name} can't be scanned: {explain(error)}")
        return
    found = [finding for finding in scan.findings if finding.certain]
    looked = f"{scan.columns} columns, {scan.sampled} rows sampled{_doubts(scan)}"
    if reference.classification in _PERSONAL:
        kinds = f"{len(found)} kinds of personal data in its columns" if found else "no personal data"
        record.passed(
            name, f"data set {reference.name} is declared {reference.classification} and holds {kinds}", observed=looked
        )
        return
    for finding in found:
        record.failed(
            f"{name}.{_column(finding, reference.name)}.{finding.entity}",
            f"{finding.location} holds {finding.entity} and the data set is declared {reference.classification}: "
            "classify it as pii, or drop the column",
            observed=_observed(finding),
            limit=_LIMIT,
        )
    if not found:
        record.passed(name, f"no personal data found in data set {reference.name}", observed=looked, limit=_LIMIT)


def _check_files(record: Recorder, name: str, title: str, scan: Scan) -> None:
    found = [finding for finding in scan.findings if finding.certain]
    for finding in found:
        record.failed(
            f"{name}.{finding.location}.{finding.entity}",
            f"{finding.location} holds {finding.entity}, which must not be in {title}",
            observed=_observed(finding),
            limit=_LIMIT,
        )
    if not found:
        looked = f"{scan.files} files, {scan.sampled} strings{_doubts(scan)}"
        record.passed(name, f"no personal data found in {title}", observed=looked, limit=_LIMIT)


def _observed(finding: Finding) -> str:
    return f"{finding.count} of {finding.sampled}, confidence {finding.confidence:.2f}"


def _doubts(scan: Scan) -> str:
    """Tell of what was not certain and what was not read, so that a pass does not look like more than it is."""
    below = [finding for finding in scan.findings if not finding.certain]
    parts = [f"{f.location} {f.entity} {f.count} of {f.sampled} at {f.confidence:.2f}" for f in below[:5]]
    parts += [f"{len(below) - 5} more"] if len(below) > 5 else []
    told = [f"below the threshold: {', '.join(parts)}"] if parts else []
    return "".join(f"; {text}" for text in [*told, *scan.notes[:5]])


def _column(finding: Finding, dataset: str) -> str:
    return finding.location.removeprefix(f"{dataset}.")
