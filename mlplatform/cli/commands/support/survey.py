"""``platform support survey``."""

from typing import Any

import click

from mlplatform.cli import options, output, session

Json = dict[str, Any]

_RATING = click.IntRange(1, 5)


@options.command(
    "Answer this quarter's survey, from 1 (not at all) to 5 (very), or see it. You answer once a quarter, and may change it "
    "until the quarter is over. Answers are kept under a keyed hash of you; nothing is shown of a few.",
    examples=[
        "platform support survey",
        "platform support survey --satisfaction 4 --shipping 5 --help-you-got 4",
        "platform support survey --quarter 2026-Q3 --json",
    ],
)
@click.option("--satisfaction", type=_RATING, help="How satisfied you are with the platform.")
@click.option("--shipping", type=_RATING, help="How easy it is to bring a model to production.")
@click.option("--help-you-got", "helped", type=_RATING, help="How well you are helped when you are stuck.")
@click.option("--comment", default="", help="For the platform team alone; personal data in it is redacted.")
@click.option("--quarter", metavar="YYYY-QN", help="See what people said in an earlier quarter.")
def survey(
    satisfaction: int | None,
    shipping: int | None,
    helped: int | None,
    comment: str,
    quarter: str | None,
    as_json: bool,
) -> None:
    """Ask for the survey, or answer it."""
    given = {"satisfaction": satisfaction, "shipping": shipping, "help": helped}
    ratings = {name: value for name, value in given.items() if value is not None}
    if ratings and len(ratings) < len(given):
        raise click.UsageError("Answer all three: --satisfaction, --shipping and --help-you-got.")
    if comment and not ratings:
        raise click.UsageError("A comment goes with answers: --satisfaction, --shipping and --help-you-got.")
    if quarter is not None and ratings:
        raise click.UsageError("A quarter that is over can't be answered any more.")
    with session.connected() as client:
        if quarter is not None:
            results = client.survey_of(quarter)
            output.result(results, as_json=as_json, human=lambda: _results(results))
            return
        found = client.answer_survey(ratings, comment) if ratings else client.survey()

    def human() -> None:
        if ratings:
            output.write(f"{found['quarter']}: thank you; you may change it until {found['endsAt'][:10]}")
            return
        for one in found["questions"]:
            own = found["answer"]["ratings"][one["name"]] if found["answer"] else "-"
            output.write(f"{own}  {one['text']}")
        _results(found["results"])

    output.result(found, as_json=as_json, human=human)


def _results(found: Json) -> None:
    if not found["enough"]:
        output.write(f"{found['quarter']}: {found['answers']} answers, too few to be shown")
        return
    output.write(f"{found['quarter']}: {found['mean']} of 5, of {found['answers']} answers")
    for name, mean in found["means"].items():
        output.write(f"  {mean}  {name}")
    for comment in found["comments"] or ():
        output.write(f"  “{comment}”")
