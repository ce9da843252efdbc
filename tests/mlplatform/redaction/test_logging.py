import io
import json
import logging
import subprocess
import sys
import threading

import pytest

from mlplatform.redaction.logging import configure


@pytest.fixture
def log():
    """A stream that the root logger writes to, and the root logger as it was afterwards."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    last_resort = logging.lastResort
    hooks = (sys.excepthook, threading.excepthook, sys.unraisablehook)
    stream = io.StringIO()
    configure("test", "DEBUG", stream, model="wine")
    yield stream
    root.handlers[:], root.level = before, level
    logging.captureWarnings(False)
    logging.lastResort = last_resort
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks


def lines(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_message_arguments_and_fields_are_redacted(log):
    extra = {
        "user": "ada@example.com",
        "apiKey": "abc",
        "card": 4111111111111111,
        "rows": 12,
        "nested": {"password": 1},
    }
    logging.getLogger("shop").warning("mail to %s", "bob@example.com", extra=extra)
    (line,) = lines(log)
    assert line["message"] == "mail to [REDACTED:EMAIL]"
    assert line["user"] == "[REDACTED:EMAIL]"
    assert line["apiKey"] == "[REDACTED:SECRET]"
    assert line["card"] == "[REDACTED:CARD]"
    assert line["rows"] == 12
    assert line["nested"] == {"password": "[REDACTED:SECRET]"}
    assert (line["level"], line["logger"], line["service"], line["model"]) == (
        "WARNING",
        "shop",
        "test",
        "wine",
    )


def test_exception_text_is_redacted_with_its_causes(log):
    try:
        try:
            raise ValueError("no such user ada@example.com")
        except ValueError as error:
            raise RuntimeError("postgresql://u:p@db/x is down") from error
    except RuntimeError:
        logging.getLogger().exception("failed")
    (line,) = lines(log)
    assert "[REDACTED:EMAIL]" in line["exception"]
    assert "[REDACTED:CREDENTIALS]" in line["exception"]
    assert "ada@" not in log.getvalue()
    assert "u:p@" not in log.getvalue()


def test_a_line_break_in_a_message_makes_no_second_line(log):
    logging.getLogger().info('harmless\n{"level":"CRITICAL"}')
    (line,) = lines(log)
    assert line["level"] == "INFO"


def test_arguments_that_do_not_fit_are_still_logged_and_redacted(log):
    logging.getLogger().info("one %s two %s", "ada@example.com")
    (line,) = lines(log)
    assert "[REDACTED:EMAIL]" in line["message"]


def repr_or_type(value):
    return f"{type(value).__name__}"


class Unprintable:
    def __str__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), 1 << 30_000, Unprintable(), b"\xff", "\ud800", {1: {2: {}}}],
    ids=repr_or_type,
)
def test_any_value_becomes_valid_json(log, value):
    logging.getLogger().info("value", extra={"value": value})

    def refuse(constant):
        raise ValueError(constant)

    json.loads(log.getvalue(), parse_constant=refuse)


def test_a_value_that_holds_itself_ends(log):
    loop = []
    loop.append(loop)
    logging.getLogger().info("loop", extra={"loop": loop})
    assert len(lines(log)) == 1


def test_import_needs_the_standard_library_only():
    code = (
        "import sys; import mlplatform.redaction.logging; "
        "print([n for n in sys.modules if n.split('.')[0] in ('pydantic', 'click', 'rich', 'mlflow', 'numpy', 'httpx')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


EVERY_WAY = """
import asyncio, logging, sys, threading, warnings
from mlplatform.redaction.logging import adopt, configure

early = logging.getLogger("early")
early.addHandler(logging.StreamHandler(sys.stdout))
early.propagate = False
lost = logging.getLogger("lost")
lost.propagate = False
configure("canary")
late = logging.getLogger("late")
late.addHandler(logging.StreamHandler(sys.stderr))
late.propagate = False
adopt()
early.warning("password=CANARY-1")
late.warning("password=CANARY-2")
lost.critical("password=CANARY-3")
warnings.warn("password=CANARY-4")
thread = threading.Thread(target=int, args=("password=CANARY-5",), name="worker")
thread.start()
thread.join()

class Bad:
    def __del__(self):
        raise ValueError("password=CANARY-6")

Bad()

async def main():
    asyncio.get_running_loop().call_soon(int, "password=CANARY-7")
    await asyncio.sleep(0.01)

asyncio.run(main())
raise RuntimeError("password=CANARY-8")
"""


def test_whatever_way_a_line_takes_it_is_json_and_redacted():
    done = subprocess.run([sys.executable, "-c", EVERY_WAY], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    told = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["logger"] for line in told] == [
        *("early", "late", "lost", "py.warnings", "uncaught", "uncaught", "asyncio", "uncaught")
    ]
    assert "CANARY" not in done.stderr
    assert done.stderr.count("[REDACTED:SECRET]") >= len(told)
    assert "Traceback" in told[-1]["exception"]
