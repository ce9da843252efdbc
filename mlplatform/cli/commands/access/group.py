"""``platform access`` and ``platform access review``: what their help pages show."""

from mlplatform.cli.app import group

access = group(
    "access",
    "See who may do what and why, ask for access for a time, and review the permissions that there are.",
    examples=[
        "platform access check read dataset:default/customers --purpose model-training",
        'platform access request read dataset:default/customers --purpose model-training --for 1d --reason "spring run"',
    ],
)

review = group(
    "access review",
    "Have every standing permission confirmed or revoked by its owner; the result is signed and kept as evidence.",
    examples=["platform access review list --mine", "platform access review confirm ITEM"],
)
