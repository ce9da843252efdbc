"""``platform-evidence``: verifies evidence packs and sealed segments on any machine that has Python and this distribution."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from evidence import told
from evidence.errors import EvidenceError
from evidence.verify import verify_pack
from evidence.verify_segments import verify_segments

_EXAMPLES = """examples:
  platform-evidence verify q1.zip --key key.pub
  platform-evidence verify q1.zip --key key.pub --checkpoint checkpoints/0000000000005120
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0: valid; 1: not valid; 2: wrong usage, or nothing that could be verified."""
    parser = argparse.ArgumentParser(
        prog="platform-evidence", description="Verify evidence packs and sealed segments of the ML platform offline."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    verify = commands.add_parser(
        "verify",
        help="verify a pack",
        description="Verify a pack: that it is what the platform signed, whole and unchanged.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verify.add_argument("file", type=Path, help="the pack")
    verify.add_argument("--proof", type=Path, help="consistency proof from the pack's end to a later checkpoint")
    segments = commands.add_parser(
        "segments",
        help="verify sealed segments",
        description="Verify sealed segments of the audit log: that they are what the platform sealed, one after the other.",
    )
    segments.add_argument("folder", type=Path, help="folder with the files *.jsonl.gz and *.manifest")
    for one in (verify, segments):
        one.add_argument(
            "--key",
            type=Path,
            required=True,
            help="public audit key (audit/key.pub), from a person you trust",
        )
        one.add_argument(
            "--checkpoint",
            type=Path,
            action="append",
            default=[],
            help="checkpoint from a second place; may be repeated",
        )
        one.add_argument("--json", action="store_true", help="print the result as one JSON document")
    options = parser.parse_args(arguments)
    progress = _progress if sys.stderr.isatty() else None
    try:
        key = told.key_in(options.key)
        known = [told.checkpoint_in(one, key) for one in options.checkpoint]
        if options.command == "segments":
            found = verify_segments(options.folder, key, known, progress)
            valid, lines, document = found.valid, told.segment_lines(found), told.segment_document(found)
        else:
            proof = told.proof_in(options.proof) if options.proof else None
            result = verify_pack(options.file, key, known, proof, progress)
            valid, lines, document = result.valid, told.lines(result), told.document(result)
    except EvidenceError as error:
        sys.stderr.write("\n".join(["error: " + error.message, *(["  " + error.fix] if error.fix else [])]) + "\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"error: {error.filename}: {error.strerror}\n")
        return 2
    if options.json:
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(lines) + "\n")
    return 0 if valid else 1


def _progress(events: int) -> None:
    sys.stderr.write(f"\r{events} events ...")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
