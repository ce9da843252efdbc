"""Copier's inner workings that updates rely on: a newer Copier that changes one has to be read before it is taken.

When this fails: compare what the new version does with ``render.py`` and ``merge.py``, run the slow tests (they compare
results with Copier's own, byte by byte), and put the new digests here.
"""

import hashlib
import inspect

import pytest
from copier import _main, _subproject, _template, _user_data

RELIED_ON = {
    "_main.Worker._apply_update": "e2784145087aee2f",
    "_main.Worker._ask": "a60680c0623f573f",
    "_main.Worker._answers_to_remember": "a4373b89b3f5e609",
    "_main.Worker._check_unsafe": "8792b2eaf82840e6",
    "_main.Worker._external_data": "5ca24ff8ab8bb434",
    "_main.Worker._render_allowed": "4b5ecd32267c04ab",
    "_main.Worker._render_context": "5ba1893661a736b6",
    "_main.Worker._render_file": "6312f9e9196cd669",
    "_main.Worker._render_parts": "cb3ececb415167fc",
    "_main.Worker._render_string": "cfd5cc646142eb3c",
    "_main.Worker._render_symlink": "624d631f20762c71",
    "_main.Worker._render_template": "e920cd5af145f849",
    "_main.Worker._solve_render_conflict": "9ff24901094a1cec",
    "_main.Worker._sync_git_index_executable_bit": "88af4d75b2793322",
    "_main.Worker.run_copy": "39efda7a0ab3790f",
    "_main.Worker.run_update": "4a574911985d305a",
    "_main._remove_old_files": "b9b0c481c7102641",
    "_subproject.Subproject": "07ae07b76c8504d4",
    "_template.Template": "2d0cd729932d0b34",
    "_user_data.AnswersMap": "a937ca501fe651f6",
    "_user_data.load_answersfile_data": "68f6de6c1724f5fd",
}


@pytest.mark.parametrize("name", RELIED_ON)
def test_copier_still_works_this_way(name: str) -> None:
    modules = {"_main": _main, "_subproject": _subproject, "_template": _template, "_user_data": _user_data}
    module, _, path = name.partition(".")
    found: object = modules[module]
    for part in path.split("."):
        found = inspect.getattr_static(found, part)
    source = inspect.getsource(inspect.unwrap(found))  # type: ignore[arg-type]
    assert hashlib.sha256(source.encode()).hexdigest()[:16] == RELIED_ON[name]
