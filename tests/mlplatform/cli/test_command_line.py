"""The command line as people meet it: help, errors, exit statuses, streams; always as a process of its own."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mlplatform import __version__
from mlplatform.cli import table
from tests.mlplatform.platform_double import SECRET, TOKEN, PlatformDouble
from tests.mlplatform.repositories import Run, command, platform

pytestmark = pytest.mark.timeout(120)

CLICK_HELP = "import sys; from mlplatform.cli.app import cli; cli.main({arguments!r}, prog_name='platform')"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ML_PLATFORM")}
    return {**kept, "ML_PLATFORM_HOME": str(tmp_path / "home"), "ML_PLATFORM_URL": "http://127.0.0.1:9"}


@pytest.fixture
def signed_in(environment: dict[str, str], double: PlatformDouble) -> dict[str, str]:
    return {**environment, "ML_PLATFORM_URL": double.url, "ML_PLATFORM_TOKEN": TOKEN}


def clicked(arguments: list[str], environment: dict[str, str]) -> Run:
    """Run the click group itself, without what is in front of it."""
    code = CLICK_HELP.format(arguments=arguments)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    return Run(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("columns", ["30", "52", "66", "80", "200", "nonsense", "0"])
@pytest.mark.parametrize("arguments", [["--help"], ["-h"], [], ["--version"]], ids=str)
def test_the_fast_answers_are_exactly_clicks(
    arguments: list[str], columns: str, environment: dict[str, str], tmp_path: Path
) -> None:
    environment["COLUMNS"] = columns
    assert platform(*arguments, folder=tmp_path, environment=environment) == clicked(arguments, environment)


def test_help_imports_nothing_but_the_table(environment: dict[str, str], tmp_path: Path) -> None:
    code = (
        "import os, sys; before = set(sys.modules); sys.argv = ['platform', '--help']\n"
        "from mlplatform.cli.main import main; main()\n"
        "print(sorted(set(sys.modules) - before), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={**environment, "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = done.stderr.strip()
    names = ["mlplatform", "mlplatform.cli", "mlplatform.cli.main", "mlplatform.cli.quick_help", "mlplatform.cli.table"]
    assert loaded == str(names)


@pytest.mark.parametrize("name", table.COMMANDS)
def test_each_command_has_help_with_examples_and_json(name: str, environment: dict[str, str], tmp_path: Path) -> None:
    run = platform(name, "--help", folder=tmp_path, environment=environment)
    assert run.status == 0
    assert "Examples:" in run.out
    assert f"$ platform {name}" in run.out or f"(platform {name}" in run.out
    if name not in {"audit", *table.GROUPS}:  # the commands of a group have it
        assert "--json" in run.out


@pytest.mark.parametrize(("group", "name"), [(group, name) for group in table.GROUPS for name in table.GROUPS[group]])
def test_so_has_each_command_of_a_group(group: str, name: str, environment: dict[str, str], tmp_path: Path) -> None:
    run = platform(*group.split(), name, "--help", folder=tmp_path, environment=environment)
    assert run.status == 0
    assert f"$ platform {group} {name}" in run.out
    if f"{group} {name}" not in table.GROUPS:
        assert "--json" in run.out
    assert f"  {name} " in platform(*group.split(), "--help", folder=tmp_path, environment=environment).out


@pytest.mark.parametrize("name", ["new", "check", "completion", "schema", "login", "up", "batch"])
def test_a_light_command_imports_nothing_heavy(name: str, environment: dict[str, str], tmp_path: Path) -> None:
    code = (
        "import sys; from mlplatform.cli.app import run; run([sys.argv[1], '--help'])\n"
        "heavy = {'mlflow', 'pandas', 'numpy', 'copier', 'rich', 'pydantic', 'httpx', 'ruamel', 'sqlalchemy', 'fastapi'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, name], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["deplpy"], "No such command 'deplpy'. Did you mean 'deploy'?"),
        (["deploy", "--version", "0"], "versions count from 1"),
        (["deploy", "--version", "../7"], "neither a version number nor an alias"),
        (["deploy", "--timeout", "soon"], "is not a duration; write for example 90s"),
        (["deploy", "--wiat"], "No such option"),
        (["-C", "/nowhere", "check"], "No such option"),
        (["check", "-C", "/nowhere"], "does not exist"),
        (["run", "--from", "scan", "--until", "train"], "--until train comes before --from scan."),
        (["abort", "some-id"], "Missing option '--reason'"),
        (["login"], "Give --user or --repository."),
        (["new", "wine", "--data", "owner"], "--data takes KEY=VALUE"),
        (["completion", "tcsh"], "is not one of"),
        (["batch", "bakcfill"], "No such command 'bakcfill'. Did you mean 'backfill'?"),
        (["batch", "run"], "Missing option '--day'"),
        (["batch", "run", "--day", "2013-02-30"], "does not match the format"),
        (["batch", "backfill", "--from", "2013-01-01"], "Missing option '--to'"),
        (["batch", "cancel", "some-id"], "Missing option '--reason'"),
        (["batch", "score", "--day", "2013-01-05"], "Missing option '--lake'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_ends_with_2_and_says_why(
    arguments: list[str], message: str, environment: dict[str, str], tmp_path: Path
) -> None:
    run = platform(*arguments, folder=tmp_path, environment=environment)
    assert (run.status, run.out) == (2, "")
    assert message in run.err


@pytest.mark.parametrize("name", ["status", "whoami", "deploy", "rollback", "logs"])
def test_a_platform_that_is_down_is_told_with_what_to_do(
    name: str, environment: dict[str, str], tmp_path: Path
) -> None:
    arguments = [name] if name == "whoami" else [name, "--model", "wine"]
    run = platform(*arguments, folder=tmp_path, environment=environment)
    assert run.status == 1
    assert run.err.startswith("error: nothing answers at http://127.0.0.1:9")
    assert "start it with `platform up`, or set ML_PLATFORM_URL" in run.err
    assert run.out == ""


def test_an_error_is_one_json_document_when_asked_for(environment: dict[str, str], tmp_path: Path) -> None:
    run = platform("status", "--model", "wine", "--json", folder=tmp_path, environment=environment)
    assert run.status == 1
    assert "nothing answers" in json.loads(run.out)["error"]["message"]


def test_who_is_not_signed_in_is_told_how(environment: dict[str, str], double: PlatformDouble, tmp_path: Path) -> None:
    run = platform("whoami", folder=tmp_path, environment={**environment, "ML_PLATFORM_URL": double.url})
    assert run.status == 1
    assert "sign in with `platform login`" in run.err


def test_outside_of_a_repository(environment: dict[str, str], tmp_path: Path) -> None:
    run = platform("check", folder=tmp_path, environment=environment)
    assert (run.status, run.out) == (1, "")
    assert "there is no model.yaml in" in run.err
    assert "platform new NAME" in run.err


def test_login_keeps_a_token_that_the_next_command_uses(
    environment: dict[str, str], double: PlatformDouble, tmp_path: Path
) -> None:
    environment["ML_PLATFORM_URL"] = double.url
    secret = tmp_path / "home" / "identity" / "login-secret"
    secret.parent.mkdir(parents=True)
    secret.write_text(f"{SECRET}\n")
    run = platform("login", "--user", "user:default/ada", folder=tmp_path, environment=environment)
    assert run.status == 0, run.err
    me = platform("whoami", "--json", folder=tmp_path, environment=environment)
    assert json.loads(me.out)["ref"] == "user:default/ada"
    file = tmp_path / "home" / "credentials.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert TOKEN not in run.out + run.err + me.out + me.err
    assert SECRET not in run.out + run.err


def test_login_finds_the_secret_of_a_platform_further_up(
    environment: dict[str, str], double: PlatformDouble, tmp_path: Path
) -> None:
    environment |= {"ML_PLATFORM_URL": double.url, "ML_PLATFORM_CREDENTIALS": str(tmp_path / "mine.json")}
    del environment["ML_PLATFORM_HOME"]
    secret = tmp_path / ".mlplatform" / "identity" / "login-secret"
    secret.parent.mkdir(parents=True)
    secret.write_text(SECRET)
    (tmp_path / "wine").mkdir()
    run = platform("login", "--repository", "local/wine", folder=tmp_path / "wine", environment=environment)
    assert run.status == 0, run.err
    assert (tmp_path / "mine.json").exists()


def test_login_without_a_secret_says_where_it_is(
    environment: dict[str, str], double: PlatformDouble, tmp_path: Path
) -> None:
    environment["ML_PLATFORM_URL"] = double.url
    run = platform("login", "--user", "user:default/ada", folder=tmp_path, environment=environment)
    assert run.status == 1
    assert "--secret-file" in run.err


def test_a_refusal_is_shown_with_its_requirements(
    signed_in: dict[str, str], double: PlatformDouble, tmp_path: Path
) -> None:
    double.refusal = [
        {"requirement": "schema", "state": "met", "message": "passed, signed by user:default/ada", "evidence": "1"},
        {"requirement": "thresholds", "state": "failed", "message": "roc_auc 0.941 is below 0.977", "evidence": "2"},
        {"requirement": "vulnerabilities", "state": "missing", "message": "no attestation", "evidence": None},
    ]
    arguments = ["deploy", "--model", "wine", "--env", "production"]
    run = platform(*arguments, folder=tmp_path, environment=signed_in)
    assert (run.status, run.out) == (1, "")
    assert [line.split(maxsplit=2) for line in run.err.splitlines()[1:]] == [
        ["met", "schema", "passed, signed by user:default/ada"],
        ["failed", "thresholds", "roc_auc 0.941 is below 0.977"],
        ["missing", "vulnerabilities", "no attestation"],
    ]
    document = json.loads(platform(*arguments, "--json", folder=tmp_path, environment=signed_in).out)
    assert document["error"]["slug"] == "admission-refused"
    assert document["error"]["requirements"] == double.refusal


def test_what_the_platform_says_about_a_field_is_shown(
    signed_in: dict[str, str], double: PlatformDouble, tmp_path: Path
) -> None:
    from tests.mlplatform.platform_double import problem

    detail = {"pointer": "/breakGlass/reason", "detail": "needs 10 characters"}
    double.fail(
        "POST", "/deployments", lambda: problem(422, "invalid-input", "the request is not valid", errors=[detail])
    )
    run = platform("deploy", "--model", "wine", "--break-glass", "x", folder=tmp_path, environment=signed_in)
    assert run.status == 1
    assert "/breakGlass/reason: needs 10 characters" in run.err


def test_something_unexpected_is_one_line_and_a_way_to_know_more(
    signed_in: dict[str, str], double: PlatformDouble, tmp_path: Path
) -> None:
    from fastapi.responses import JSONResponse

    double.fail("GET", "/identity/me", *[lambda: JSONResponse({"unexpected": True})] * 2)
    run = platform("whoami", folder=tmp_path, environment=signed_in)
    assert run.status == 1
    assert run.err.splitlines() == ["error: unexpected KeyError: 'ref'", "  set ML_PLATFORM_DEBUG=1 for the traceback"]
    debugged = platform("whoami", folder=tmp_path, environment={**signed_in, "ML_PLATFORM_DEBUG": "1"})
    assert "Traceback" in debugged.err


def test_colours_are_for_terminals_only(signed_in: dict[str, str], tmp_path: Path) -> None:
    run = platform("status", "--model", "wine", folder=tmp_path, environment=signed_in)
    assert "\x1b" not in run.out + run.err
    assert "v3       5 %      canary" in run.out


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_colours_on_a_terminal(signed_in: dict[str, str], tmp_path: Path, no_color: str, coloured: bool) -> None:
    import pty

    signed_in |= {"NO_COLOR": no_color, "TERM": "xterm"}
    outer, inner = pty.openpty()
    process = subprocess.Popen(
        [command(), "status", "--model", "wine"], cwd=tmp_path, env=signed_in, stdout=inner, stderr=inner
    )
    os.close(inner)
    shown = b""
    while True:
        try:
            part = os.read(outer, 65536)
        except OSError:  # Linux: the other end is closed
            break
        if not part:
            break
        shown += part
    assert process.wait(timeout=30) == 0
    assert (b"\x1b[" in shown) is coloured


def test_audit_verify_names_the_faults_and_fails(
    signed_in: dict[str, str], double: PlatformDouble, tmp_path: Path
) -> None:
    good = platform("audit", "verify", folder=tmp_path, environment=signed_in)
    assert (good.status, good.out) == (0, "valid: 214 events, head 214 3f9a3f9a3f9a\n")
    double.audit_faults = [{"seq": 7, "id": "e7", "kind": "edited", "message": "the text does not fit its hash"}]
    bad = platform("audit", "verify", folder=tmp_path, environment=signed_in)
    assert bad.status == 1
    assert "edited: event 7 (e7): the text does not fit its hash" in bad.out


def test_audit_events_reads_as_many_pages_as_it_takes(signed_in: dict[str, str], tmp_path: Path) -> None:
    run = platform("audit", "events", "--limit", "444", "--json", folder=tmp_path, environment=signed_in)
    assert [item["seq"] for item in json.loads(run.out)["items"]] == list(range(444))
    shown = platform("audit", "events", "--limit", "1", folder=tmp_path, environment=signed_in).out.splitlines()
    assert shown[1].split() == ["0", "2026-01-01", "00:00:00", "t", "model:wine", "user:default/ada"]


def test_a_reader_that_goes_away_is_no_error(signed_in: dict[str, str], double: PlatformDouble, tmp_path: Path) -> None:
    shell = f"{command()} logs --model wine -f | head -n 3; echo status ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", shell], cwd=tmp_path, env=signed_in, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[:3] == ["3/0 tick"] * 3
    assert done.stdout.splitlines()[3] == "status 141"
    assert done.stderr == ""


def test_interrupting_is_quiet_and_ends_with_130(
    signed_in: dict[str, str], double: PlatformDouble, tmp_path: Path
) -> None:
    process = subprocess.Popen(
        [command(), "logs", "--model", "wine", "-f"],
        cwd=tmp_path,
        env=signed_in,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs the tests in the background has the signal ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "3/0 tick\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "")


def test_completion_works_in_bash(environment: dict[str, str], tmp_path: Path) -> None:
    script = platform("completion", "bash", folder=tmp_path, environment=environment)
    assert script.status == 0
    asked = {**environment, "COMP_WORDS": "platform ro", "COMP_CWORD": "1", "_PLATFORM_COMPLETE": "bash_complete"}
    assert platform(folder=tmp_path, environment=asked).out == "plain,rollback\n"


def test_up_says_where_to_run_it_when_the_platform_is_not_installed(
    environment: dict[str, str], tmp_path: Path
) -> None:
    code = (
        "import sys; sys.modules['backend'] = None; sys.modules['scaffolder'] = None\n"
        "import importlib.util; found = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name in ('backend', 'scaffolder') else found(name, *rest)\n"
        "from mlplatform.cli.app import run; raise SystemExit(run(sys.argv[1:]))"
    )
    for arguments in (["up"], ["down"], ["new", "wine", "--no-register"], ["templates", "release"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert "ml-golden-path" in done.stderr


def test_schema_prints_what_is_checked_in(environment: dict[str, str], tmp_path: Path) -> None:
    from mlplatform.spec.schema import CHECKED_IN

    assert platform("schema", folder=tmp_path, environment=environment).out == CHECKED_IN.read_text()


def test_version_is_the_packages(environment: dict[str, str], tmp_path: Path) -> None:
    assert platform("--version", folder=tmp_path, environment=environment).out == f"platform, version {__version__}\n"
