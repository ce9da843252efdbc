"""Data sets, controls and waivers in the platform's API."""

from mlplatform.client.calls import Calls, Json, json_list, path_part
from mlplatform.client.transport import PREFIX


class ComplianceCalls(Calls):
    """The calls for classifying data, seeing how controls stand, and waiving findings."""

    def submit_scan(self, scan: Json) -> Json:
        """Propose the classification of a data set's columns."""
        return self._post("/datasets/scans", scan)

    def dataset(self, identifier: str) -> Json:
        """Return a data set with its columns."""
        return self._get(f"/datasets/{path_part(identifier)}")

    def confirm_classification(self, identifier: str, columns: dict[str, str], reason: str | None) -> Json:
        """Decide the classification of columns."""
        return self._post(f"/datasets/{path_part(identifier)}/confirmation", {"columns": columns, "reason": reason})

    def frameworks(self) -> list[Json]:
        """Return the control frameworks."""
        return json_list(self._transport.send("GET", f"{PREFIX}/compliance/frameworks"))

    def controls(self, framework: str) -> list[Json]:
        """Return the controls of a framework and how they stand."""
        return json_list(self._transport.send("GET", f"{PREFIX}/compliance/frameworks/{path_part(framework)}/controls"))

    def model_compliance(self, model: str, framework: str) -> Json:
        """Return how a model stands to the controls of a framework, examined now."""
        return self._get(f"/compliance/models/{path_part(model)}", {"framework": framework})

    def document(self, document: str, model: str, version: int | str) -> Json:
        """Return the model card or the technical file of a version, as Markdown."""
        place = f"/compliance/models/{path_part(model)}/versions/{path_part(version)}"
        return self._get(f"{place}/documents/{path_part(document)}")

    def evaluate_controls(self) -> Json:
        """Have all checks run."""
        return self._post("/compliance/evaluations", {})

    def evaluation(self, identifier: str) -> Json:
        """Return an evaluation of the checks."""
        return self._get(f"/compliance/evaluations/{path_part(identifier)}")

    def request_waiver(self, wish: Json) -> Json:
        """Ask for a waiver."""
        return self._post("/compliance/waivers", wish)

    def decide_waiver(self, identifier: str, decision: str, comment: str) -> Json:
        """Say ``approve`` or ``reject`` to a waiver."""
        return self._post(
            f"/compliance/waivers/{path_part(identifier)}/decision", {"decision": decision, "comment": comment}
        )

    def revoke_waiver(self, identifier: str, reason: str) -> Json:
        """End a waiver before its time."""
        return self._post(f"/compliance/waivers/{path_part(identifier)}/revocation", {"reason": reason})
