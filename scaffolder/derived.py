"""What a released template needs so that plain Copier derives from ``model.yaml`` what ``platform generate`` derives.

The toolkit's sources go to ``generate/`` beside the template, which Copier does not render but can include. Each derived file
is one line that includes its source. Two computed questions give the sources their input: ``spec``, the repository's
own ``model.yaml`` rendered, read and completed by the published schema, and ``derived``, the paths that there are for it.
"""

import json
from pathlib import PurePosixPath

_SOURCES = "generate/files/"
_SUFFIX = ".jinja"
_SCHEMA = "spec/model.schema.json"

_QUESTIONS = """\
# Written by the release: model.yaml as every derived file sees it, and which of them there are.
spec:
  type: json
  when: false
  default: |-
    {% from 'generate/_complete.jinja' import complete %}
    {% set text %}{% include 'template/model.yaml.jinja' %}{% endset %}
    {% set schema %}{% include 'generate/_schema.jinja' %}{% endset %}
    {% set schema = schema | from_json %}
    {{ complete(text | from_yaml, schema, schema['$defs']) }}

derived:
  type: json
  when: false
  default: "{% include 'generate/_paths.jinja' %}"

_exclude:
  - |-
    {% for path in PATHS if path not in derived %}
    /{{ path }}
    {% endfor %}
    {% for folder in FOLDERS if '\\n' ~ folder ~ '/' not in '\\n' ~ derived | join('\\n') %}
    /{{ folder }}
    {% endfor %}
"""


def template_files(sources: dict[str, bytes]) -> dict[str, bytes]:
    """Return the files, by their path in the release, that let Copier derive from ``model.yaml``.

    Args:
        sources: the toolkit's files, as :func:`scaffolder.toolkit.read_sources` gives them.
    """
    own = {
        name.removeprefix(_SOURCES): content
        for name, content in sources.items()
        if name.startswith(_SOURCES) and name.endswith(_SUFFIX)
    }
    files = {f"generate/{name}": content for name, content in own.items()}
    files["generate/_schema.jinja"] = b"{% raw %}" + sources[_SCHEMA] + b"{% endraw %}"
    paths = sorted(name.removesuffix(_SUFFIX) for name in own if not name.startswith("_"))
    for path in paths:
        files[f"template/{path}{_SUFFIX}"] = f"{{% include 'generate/{path}{_SUFFIX}' %}}\n".encode()
    folders = sorted({str(parent) for path in paths for parent in list(PurePosixPath(path).parents)[:-1]})
    questions = _QUESTIONS.replace("PATHS", json.dumps(paths)).replace("FOLDERS", json.dumps(folders))
    files["derived.yml"] = questions.encode()
    return files
