"""``platform support``: what its help page shows."""

from mlplatform.cli.app import group

support = group(
    "support",
    "Ask the platform team, answer what was asked, and say how satisfied you are.",
    examples=[
        'platform support ask --priority P1 "staging refuses my model" --text "since this morning: ..."',
        "platform support list --mine",
        "platform support survey --satisfaction 4 --shipping 5 --help-you-got 4",
    ],
)
