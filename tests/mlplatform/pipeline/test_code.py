"""Running the repository's own functions leaves the repository as it was."""

import sys
from pathlib import Path

from mlplatform.pipeline.code import function, inside


def test_no_bytecode_is_written_and_nothing_of_the_process_stays_changed(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "only_here_for_a_test.py").write_text("def answer() -> int:\n    return 42\n", encoding="utf-8")
    before = (Path.cwd(), list(sys.path), sys.dont_write_bytecode)
    with inside(tmp_path):
        assert function("only_here_for_a_test:answer", field="training", repository=tmp_path)() == 42
        assert Path.cwd() == tmp_path
    assert (Path.cwd(), list(sys.path), sys.dont_write_bytecode) == before
    assert list(tmp_path.rglob("__pycache__")) == []
