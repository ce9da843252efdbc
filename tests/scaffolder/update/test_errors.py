"""What can't be updated: each with its own error, the cause and a fix, and nothing changed."""

import pickle

import pytest

from scaffolder.update import UpdateError
from scaffolder.update.answers import read_answers
from scaffolder.update.errors import (
    AnswerInvalid,
    AnswersMissing,
    AnswersUnreadable,
    Downgrade,
    OtherTemplate,
    RepositoryFault,
    TemplateFault,
    UnknownVersion,
    UnsafeTemplate,
)

from .conftest import CONFIG, Lab, git

GOOD = "_commit: v1\n_src_path: {template}\nname: churn\n"
QUESTIONS = CONFIG + "replicas: {type: int, default: 1}\nsize: {type: str, default: s, choices: [s, m]}\n"


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (None, AnswersMissing, "no .copier-answers.yml"),
        ("-> /etc/passwd", AnswersUnreadable, "is not a file"),
        ("", AnswersUnreadable, "holds nothing"),
        ("- a\n", AnswersUnreadable, "holds a list"),
        ("a: [\n", AnswersUnreadable, "not YAML in line"),
        (b"\xff\xfe\xfd", AnswersUnreadable, "not YAML"),
        ("<<<<<<< before updating\n_commit: v1\n", AnswersUnreadable, "not YAML"),
        ("1: 2\n", AnswersUnreadable, "the key '1'"),
        ("_commit: v1\n", AnswersUnreadable, "_src_path is missing"),
        ("_src_path: {template}\n", AnswersUnreadable, "_commit is missing"),
        ("_src_path: {template}\n_commit: 1.0\n", AnswersUnreadable, "_commit is a float"),
        ("_src_path: []\n_commit: v1\n", AnswersUnreadable, "_src_path is a list"),
        ("when: 2020-99-99\n", AnswersUnreadable, "not YAML"),
        ("x: !!python/object/apply:os.system ['true']\n", AnswersUnreadable, "not YAML"),
        ("a: &a [*a]\n" + GOOD, AnswersUnreadable, "by its aliases"),
        ("x" * 300_000, AnswersUnreadable, "at most 262144 bytes"),
        (GOOD.replace("{template}", "https://example.org/other.git"), OtherTemplate, "another template"),
        (GOOD.replace("{template}", "ext::sh -c true"), OtherTemplate, "another template"),
        (GOOD.replace("v1", "v9"), UnknownVersion, "no version 'v9'"),
        (GOOD.replace("v1", "--upload-pack=true"), UnknownVersion, "no version"),
        (GOOD.replace("v1", '"v1\\nv2"'), UnknownVersion, "no version"),
        (GOOD + "replicas: many\n", AnswerInvalid, "replicas: "),
        (GOOD + "replicas: [1]\n", AnswerInvalid, "replicas: "),
        (GOOD + "size: xxl\n", AnswerInvalid, "size: 'xxl' is not in"),
    ],
)
def test_the_answers_file(lab: Lab, content: str | bytes | None, error: type[UpdateError], message: str) -> None:
    lab.release("v1", {"a": "1\n"}, QUESTIONS)
    lab.start()
    lab.release("v2", {"a": "2\n"}, QUESTIONS)
    if isinstance(content, str):
        content = content.replace("{template}", str(lab.template))
    lab.edit({".copier-answers.yml": content})
    with pytest.raises(error) as refused:
        lab.update()
    assert message in refused.value.message
    assert len(refused.value.message) < 700
    assert refused.value.fix or isinstance(refused.value, AnswerInvalid)
    assert git(lab.repository, "status", "--porcelain") == ""


def test_many_small_aliases_are_counted_before_they_are_written_out() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 10)}]" for number in range(1, 12)]
    with pytest.raises(AnswersUnreadable, match="aliases"):
        read_answers("\n".join([*lines, "_commit: v1", "_src_path: x"]).encode())


def test_a_question_without_an_answer_is_named(lab: Lab) -> None:
    config = "_templates_suffix: .jinja\nname: {type: str}\nowner: {type: str, default: me}\n"
    lab.release("v1", {"a": "1\n"}, config)
    lab.start(name="churn")
    lab.release("v2", {"a": "2\n"}, config)
    lab.edit({".copier-answers.yml": f"_commit: v1\n_src_path: {lab.template}\nowner: me\n"})
    with pytest.raises(AnswerInvalid, match="name: v1 asks it") as refused:
        lab.update()
    assert refused.value.question == "name"


def test_a_new_question_without_a_default_is_named_and_can_be_answered(lab: Lab) -> None:
    lab.release("v1", {"a": "1\n"})
    lab.start()
    lab.release("v2", {"a.jinja": "{{ owner }}\n"}, CONFIG + "owner: {type: str}\n")
    with pytest.raises(AnswerInvalid, match="owner: v2 asks it"):
        lab.update()
    assert lab.text(lab.update(owner="me"), "a") == "me\n"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"nam": "x"}, "no question 'nam'"),
        ({"name": "UPPER"}, "name: lower case"),
        ({"_commit": "v1"}, "no question '_commit'"),
    ],
)
def test_a_wrong_answer_for_the_update(lab: Lab, data: dict[str, str], message: str) -> None:
    validator = "{% if name != name.lower() %}lower case{% endif %}"
    config = f"_templates_suffix: .jinja\nname: {{type: str, default: churn, validator: '{validator}'}}\n"
    lab.release("v1", {"a": "1\n"}, config)
    lab.start()
    lab.release("v2", {"a": "2\n"}, config)
    with pytest.raises(AnswerInvalid, match=message):
        lab.update(**data)


def test_downgrades_and_unknown_targets(lab: Lab) -> None:
    for tag, content in (("v1", "1\n"), ("v2", "2\n")):
        lab.release(tag, {"a": content})
    lab.start("v2")
    with pytest.raises(Downgrade, match="at v2, which is later than v1"):
        lab.update("v1")
    with pytest.raises(UnknownVersion, match="no version 'v3'"):
        lab.update("v3")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("_tasks: ['touch /tmp/owned']\n", "tasks"),
        ("_jinja_extensions: [jinja2.ext.do]\n", "jinja_extensions"),
        ("_migrations: [{version: v2, command: 'touch /tmp/owned'}]\n", "migrations"),
    ],
)
@pytest.mark.parametrize("which", ["old", "new"])
def test_templates_that_run_code_are_refused(lab: Lab, config: str, message: str, which: str) -> None:
    lab.release("v1", {"a": "1\n"})
    lab.start()
    if which == "old":
        lab.release("v1.1", {"a": "1\n"}, CONFIG + config)
        answers = lab.repository / ".copier-answers.yml"
        lab.edit({".copier-answers.yml": answers.read_text().replace("v1", "v1.1")})
    lab.release("v2", {"a": "2\n"}, CONFIG + (config if which == "new" else ""))
    if which == "old" and message == "migrations":
        assert lab.update().files  # the old version's migrations are of the past
        return
    with pytest.raises(UnsafeTemplate, match=message):
        lab.update()


def test_migrations_of_other_versions_do_nothing(lab: Lab) -> None:
    lab.release("v1", {"a": "1\n"})
    lab.start()
    lab.release("v2", {"a": "2\n"}, CONFIG + "_migrations: [{version: v1, command: 'touch /tmp/owned'}]\n")
    assert lab.text(lab.update(), "a") == "2\n"


@pytest.mark.parametrize(
    ("files", "config", "message"),
    [
        ({"a.jinja": "{{ 1 / 0 }}"}, CONFIG, "division by zero"),
        ({"a.jinja": "{{ x.y.z }}"}, CONFIG, "undefined"),
        ({"a.jinja": "{% if %}"}, CONFIG, "Expected an expression"),
        ({"a": ""}, "name: [\n", "copier.yml"),
        ({"{{ up }}/a": "x"}, CONFIG + "up: ..\n", "forbidden"),
        ({"{{ '.git' }}/hooks/pre-commit": "x"}, CONFIG + "_exclude: [copier.yml]\n", "inside a git directory"),
    ],
)
def test_a_template_that_can_not_be_rendered(lab: Lab, files: dict[str, str], config: str, message: str) -> None:
    lab.release("v1", {"a": "1\n"})
    lab.start()
    lab.release("v2", files, config)
    with pytest.raises(TemplateFault, match=message):
        lab.update()


def test_what_is_no_repository(lab: Lab) -> None:
    lab.release("v1", {"a": "1\n"})
    lab.start()
    engine = lab.engine
    empty = lab.folder / "empty"
    empty.mkdir()
    with pytest.raises(RepositoryFault, match="not a git repository"):
        engine.update(empty, "main", "v1")
    for head in (
        "nothing",
        "0" * 40,
        "HEAD^{tree}",
        "--help",
        "a\nb",
        git(lab.repository, "rev-parse", "HEAD^{tree}").strip(),
    ):
        with pytest.raises(RepositoryFault, match="no commit"):
            engine.update(lab.repository, head, "v1")


def test_a_repository_of_another_kind_of_git(lab: Lab) -> None:
    lab.release("v1", {"a": "1\n"})
    git(lab.folder, "init", "--quiet", "--object-format=sha256", "--initial-branch=main", str(lab.repository))
    head = lab.edit({"a": "1\n"})
    for name in ("main", head):
        with pytest.raises(RepositoryFault, match="SHA-256"):
            lab.engine.update(lab.repository, name, "v1")


def test_errors_cross_to_other_processes_with_all_they_say() -> None:
    fault = pickle.loads(pickle.dumps(AnswerInvalid("size: no", question="size", fix="yes")))  # noqa: S301
    assert (type(fault), fault.message, fault.question, fault.fix) == (AnswerInvalid, "size: no", "size", "yes")
