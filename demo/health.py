"""What a team lead looks at: the promises of a model and what is left of their error budgets, and what the model has cost."""

from collections.abc import Callable

from demo.shell import Person, wait_until

Say = Callable[[str], None]


def objectives(author: Person, model: str, say: Say) -> None:
    """Say how each objective stands, once the platform has judged what users met during the rollouts."""

    def judged() -> list[dict[str, object]]:
        found = author.platform("slo", "--model", model, expect=None, show=False).document["slos"]
        return [one for one in found if one["remaining"] is not None]

    wait_until(judged, seconds=90, every=2, what="the first judgement of an objective")
    for one in author.platform("slo", "--model", model, expect=None).document["slos"]:
        promise = f"{one['slo']} of v{one['version']}: {one['objective']:g} % in {one['windowSeconds'] // 86_400} days"
        left = one["remaining"]
        say(f"{promise}: {'not judged yet' if left is None else f'{left:.1%} of its error budget left'}")


def cost(author: Person, model: str, say: Say) -> None:
    """Say what the model has cost since it was made."""

    def metered() -> dict[str, object] | None:
        found: dict[str, object] = author.platform("cost", "--model", model, show=False).document
        return found if found["groups"] else None

    wait_until(metered, seconds=120, every=2, what="the first reading of a meter")
    found = author.platform("cost", "--model", model).document
    parts = ", ".join(f"v{one['version']} {one['cost']}" for one in found["groups"] if one["version"])
    say(f"cost of {model} in {found['month']} so far: {found['total']} {found['currency']} ({parts})")
