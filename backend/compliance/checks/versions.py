"""Checks of the versions that are live now."""

from collections.abc import Callable, Iterable

from backend.compliance.checks.base import Check, Deviation, Live, Result, View
from backend.deployments.admission import CLASSIFICATION


def _each(judge: Callable[[Live], Iterable[Deviation]]) -> Callable[[View], Result]:
    def examine(view: View) -> Result:
        return Result(len(view.live), tuple(one for live in view.live for one in judge(live)))

    return examine


def _requirement(*names: str) -> Callable[[View], Result]:
    """Look at some of the requirements of the environment's policy, or at all; where none applies, nothing is examined."""

    def examine(view: View) -> Result:
        examined, deviations = 0, []
        for live in view.live:
            findings = [one for one in live.verdict.findings if not names or one.requirement in names]
            examined += bool(findings)
            deviations += [
                live.deviation(f"{live.name}: {one.requirement} is {one.state} ({one.message})", evidence=one.evidence)
                for one in findings
                if one.state != "met"
            ]
        return Result(examined, tuple(deviations))

    return examine


def _attributed(live: Live) -> Iterable[Deviation]:
    row = live.version
    if not row.commit or not row.repository:
        yield live.deviation(f"{live.name}: the commit that it was made from is not on record")
    if row.lineage.get("dirty"):
        yield live.deviation(f"{live.name}: was made with changes that are in no commit")
    if row.created_by.startswith("repository:") and not row.lineage.get("onBehalfOf"):
        yield live.deviation(f"{live.name}: its CI job does not say who started it")


def _owned(view: View) -> Result:
    owners = {live.owner for live in view.live}
    known = view.services.catalog.known(view.session, sorted(owner.lower() for owner in owners))
    missing = tuple(
        live.deviation(f"{live.name}: its owner {live.owner} is not in the catalog")
        for live in view.live
        if live.owner.lower() not in known
    )
    return Result(len(view.live), missing)


def _classified(view: View) -> Result:
    uris = {str(reference["uri"]): live for live in view.live for reference in live.version.spec["data"]}
    deviations = []
    for uri, waiting in view.services.datasets.unconfirmed(view.session, sorted(uris)).items():
        live = uris[uri]
        if waiting is None:
            deviations.append(
                live.deviation(
                    f"{uri}, behind {live.name}: its columns were never classified", subject=f"dataset:{uri}"
                )
            )
        elif waiting:
            names = ", ".join(waiting[:3]) + (" …" if len(waiting) > 3 else "")
            deviations.append(
                live.deviation(f"{uri}, behind {live.name}: nobody has confirmed {names}", subject=f"dataset:{uri}")
            )
    return Result(len(uris), tuple(deviations))


VERSION_CHECKS = (
    Check("versions.attested", "Every live version meets its environment's policy now", _requirement()),
    Check("versions.attributed", "Every live version is tied to a commit and a person", _each(_attributed)),
    Check("ownership.known", "The owner of every live version is a group in the catalog", _owned),
    Check("schema.enforced", "Data and signature of every live version fit its schema", _requirement("gate:schema")),
    Check("thresholds.met", "Every live version reached its metric thresholds", _requirement("gate:thresholds")),
    Check("pii.none-undeclared", "No live version holds undeclared personal data", _requirement("gate:pii")),
    Check(
        "vulnerabilities.none-known",
        "No live version has a known vulnerability that is not accepted",
        _requirement("gate:vulnerabilities"),
    ),
    Check(
        "data.agrees", "No live version's data is declared below what the catalog knows", _requirement(CLASSIFICATION)
    ),
    Check("data.classified", "A person confirmed every column behind the live versions", _classified),
)
