"""``platform approve``, ``platform abort`` and ``platform promote``: what people decide about a deployment."""

import click

from mlplatform.cli import options, output, session


@options.command(
    "Approve a deployment that waits for it, or turn it down with --reject. Where the policy says so, the author can't.",
    examples=[
        'platform approve 0197f2c4-7b1e-7c3a --comment "checked the slices"',
        'platform approve 0197f2c4-7b1e-7c3a --reject --comment "wait for the freeze to end"',
    ],
)
@click.argument("deployment")
@click.option("--reject", is_flag=True, help="Turn it down.")
@click.option("--comment", help="Why; it goes into the audit log.")
def approve(deployment: str, reject: bool, comment: str | None, as_json: bool) -> None:
    """Send the decision."""
    with session.connected() as client:
        answer = client.decide(deployment, "reject" if reject else "approve", comment)
    words = "rejected" if reject else "approved"
    output.result(answer, as_json=as_json, human=lambda: _told(answer, words))


@options.command(
    "Stop a rollout: all traffic goes back to the former version.",
    examples=['platform abort 0197f2c4-7b1e-7c3a --reason "wrong feature file"'],
)
@click.argument("deployment")
@click.option("--reason", required=True, help="Why; it goes into the audit log.")
def abort(deployment: str, reason: str, as_json: bool) -> None:
    """Send the abort."""
    with session.connected() as client:
        answer = client.abort(deployment, reason)
    output.result(answer, as_json=as_json, human=lambda: _told(answer, "aborted"))


@options.command(
    "Skip what is left of a rollout's analysis and give the new version all traffic. Needs the right to approve.",
    examples=['platform promote 0197f2c4-7b1e-7c3a --reason "hot fix, watched by hand"'],
)
@click.argument("deployment")
@click.option("--reason", required=True, help="Why; it goes into the audit log.")
def promote(deployment: str, reason: str, as_json: bool) -> None:
    """Send the decision."""
    with session.connected() as client:
        answer = client.promote(deployment, reason)
    output.result(answer, as_json=as_json, human=lambda: _told(answer, "told to promote"))


def _told(deployment: dict[str, object], words: str) -> None:
    from mlplatform.pipeline.deploy import phase_words

    what = f"{deployment['model']} version {deployment['version']} in {deployment['environment']}"
    output.write(f"{what}: {words}; it is {phase_words(deployment)}")
