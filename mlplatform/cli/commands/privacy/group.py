"""What the help pages of ``platform retention``, ``platform privacy`` and ``platform keys`` show."""

from mlplatform.cli.app import group

retention = group(
    "retention",
    "See how long things are kept, have what is over deleted, and keep what must not be.",
    examples=["platform retention show", "platform retention run --dry-run"],
)

privacy = group(
    "privacy",
    "Find and erase a person in what the platform holds.",
    examples=["platform privacy find --subject-file person.txt --reason 'asked on 3 May'", "platform privacy show ID"],
)

keys = group(
    "keys",
    "See the keys that data is encrypted with, and rotate them.",
    examples=["platform keys list", "platform keys rotate --reason 'yearly' --wait"],
)
