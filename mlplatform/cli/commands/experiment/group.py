"""``platform experiment``: what its help pages show."""

from mlplatform.cli.app import group

experiment = group(
    "experiment",
    "Try a challenger beside what is live, see what came of it, and decide.",
    examples=[
        "platform experiment start shadow --env production --version 8",
        "platform experiment show ID",
        'platform experiment decide ID promote --reason "more clicks, no errors"',
    ],
)

start = group(
    "experiment start",
    "Begin a shadow run (users never get the challenger's answers) or an A/B experiment (some do).",
    examples=[
        "platform experiment start shadow --env production --version 8 --percent 20",
        "platform experiment start ab --env production --version 8 --key x-user-id --metric clicked --effect 0.02",
    ],
)
