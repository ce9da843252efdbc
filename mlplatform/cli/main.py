"""Entry point of ``platform``. The answers that need no command come first and import nothing."""

import os
import sys


def main() -> int:
    """Run the command line and return the exit status: 0 done, 1 refused or failed, 2 wrong usage."""
    arguments = sys.argv[1:]
    try:
        if "_PLATFORM_COMPLETE" in os.environ:
            pass  # a shell asks for completions, with no arguments
        elif arguments in (["--help"], ["-h"], []):
            from mlplatform.cli import quick_help

            text = quick_help.help_text(quick_help.terminal_columns())
            stream = sys.stdout if arguments else sys.stderr
            stream.write(text)
            stream.flush()
            return 0 if arguments else 2
        elif arguments == ["--version"]:
            from mlplatform import __version__

            sys.stdout.write(f"platform, version {__version__}\n")
            sys.stdout.flush()
            return 0
    except BrokenPipeError:
        return _quiet_pipe()
    try:
        from mlplatform.cli.app import run

        status = run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        return _quiet_pipe()
    except KeyboardInterrupt:
        return 130
    return status


def _quiet_pipe() -> int:
    """Whoever read our output has gone (``platform logs | head``): say nothing, not even when Python flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141
