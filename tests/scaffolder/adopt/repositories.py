"""Repositories as people have them before they come to the platform; all of them made by hand, none from a template."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

Files = Mapping[str, str | bytes]

CHURN_DATA = """\
import pandas as pd

FEATURES = ["tenure", "charges"]
TARGET = "churned"


def load_customers() -> pd.DataFrame:
    return pd.read_csv("data/customers.csv")
"""
CHURN_TRAIN = """\
from sklearn.linear_model import LogisticRegression

from churn.data import FEATURES, TARGET, load_customers


def train_model(x, y, c=1.0):
    model = LogisticRegression(C=c)
    return model.fit(x, y)


if __name__ == "__main__":
    frame = load_customers()
    print(train_model(frame[FEATURES], frame[TARGET]))
"""
CUSTOMERS = "tenure,charges,churned\n" + "".join(f"{n},{n * 1.5},{n % 2}\n" for n in range(40))
SKLEARN: Files = {
    "README.md": "# Churn\n\nTells which customers will leave us within a month.\n",
    "pyproject.toml": (
        '[project]\nname = "churn"\nversion = "2.1.0"\nrequires-python = ">=3.11"\n'
        'dependencies = ["pandas>=2", "scikit-learn"]  # as the lab has them\n\n'
        '[dependency-groups]\ndev = ["pytest"]\n\n[tool.ruff]\nline-length = 99\n'
    ),
    "requirements.txt": "pandas>=2\nscikit-learn\n",
    ".gitignore": "*.pyc\n.venv/\n",
    "Makefile": ".PHONY: test\n\ntest:\n\tpython -m pytest\n",
    ".github/workflows/test.yml": "name: Tests\non: push\njobs: {test: {runs-on: ubuntu-latest, steps: [{run: make test}]}}\n",
    ".github/CODEOWNERS": "/docs/ @acme/writers\n* @acme/risk\n",
    "src/churn/__init__.py": "",
    "src/churn/data.py": CHURN_DATA,
    "src/churn/train.py": CHURN_TRAIN,
    "tests/test_train.py": "def test_it() -> None:\n    assert True\n",
    "data/customers.csv": CUSTOMERS,
}
FASTAPI: Files = {
    "requirements.txt": "fastapi==0.115.0\nuvicorn[standard]\nscikit-learn>=1.4  # trained with it\n-r more.txt\n",
    "Dockerfile": "FROM python:3.12-slim\nCOPY . .\nCMD uvicorn app.main:app\n",
    "catalog-info.yaml": "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata:\n  name: prices\nspec:\n  type: service\n"
    "  lifecycle: production\n  owner: pricing\n",
    "app/__init__.py": "",
    "app/main.py": (
        "from fastapi import FastAPI\nfrom pydantic import BaseModel, Field\n\napp = FastAPI()\n\n\n"
        "class PriceRequest(BaseModel):\n    rooms: int\n    area: float = Field(gt=0)\n    city: str\n"
        "    has_lift: bool | None = None\n\n\n"
        "class PriceResponse(BaseModel):\n    price: float\n\n\n"
        '@app.post("/predict")\ndef predict(request: PriceRequest) -> PriceResponse:\n    return PriceResponse(price=1.0)\n'
    ),
    "app/fit.py": (
        "import joblib\nimport pandas as pd\nfrom sklearn.ensemble import RandomForestRegressor\n\n\n"
        'def fit():\n    frame = pd.read_parquet("s3://lake/prices/2024.parquet")\n    y = frame.pop("price")\n'
        '    model = RandomForestRegressor().fit(frame, y)\n    joblib.dump(model, "model.joblib")\n'
    ),
    ".gitlab-ci.yml": "test:\n  script: pytest\n",
}


@dataclass(frozen=True)
class Existing:
    """A repository that is there already."""

    path: Path

    @classmethod
    def make(
        cls, path: Path, files: Files, *, links: Mapping[str, str] | None = None, executable: tuple[str, ...] = ()
    ) -> "Existing":
        """Make it, with everything in one commit on ``main``."""
        path.mkdir(parents=True)
        made = cls(path)
        made.git("init", "--quiet", "--initial-branch=main")
        made.write(files)
        for name, target in (links or {}).items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).symlink_to(target)
        for name in executable:
            (path / name).chmod(0o755)
        made.commit("first")
        return made

    def write(self, files: Files) -> None:
        """Write files into the checkout."""
        for name, content in files.items():
            place = self.path / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content if isinstance(content, bytes) else content.encode())

    def commit(self, message: str) -> None:
        """Commit everything, ignored or not."""
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)

    def git(self, *arguments: str) -> str:
        """Run git in it, without the machine's settings."""
        return self.raw(*arguments).decode(errors="surrogateescape").strip()

    def raw(self, *arguments: str) -> bytes:
        """Run git in it and return what it says as it is."""
        environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        names = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "protocol.file.allow=always"]
        names += ["-c", "core.autocrlf=false"]
        command = ["git", *names, *arguments]
        return subprocess.run(command, cwd=self.path, env=environment, capture_output=True, check=True).stdout

    def tree(self, commit: str = "HEAD") -> dict[str, tuple[str, str]]:
        """Return mode and object of each file of a commit."""
        found = {}
        for line in self.git("ls-tree", "-r", "-z", commit).split("\0"):
            if line:
                about, _, path = line.partition("\t")
                mode, _kind, blob = about.split()
                found[path] = (mode, blob)
        return found

    def content(self, path: str, commit: str = "platform/adopt") -> bytes:
        """Return a file of a commit."""
        return self.raw("cat-file", "blob", f"{commit}:{path}")

    def snapshot(self) -> dict[str, object]:
        """Return everything of the checkout and of git's state that an adoption must not touch."""
        files = {
            path.relative_to(self.path).as_posix(): (
                path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None,
                path.lstat().st_mode,
                path.lstat().st_mtime_ns if not path.is_dir() else 0,
            )
            for path in self.path.rglob("*")
            if ".git" not in path.relative_to(self.path).parts
        }
        state = {name: (self.path / ".git" / name).read_bytes() for name in ("HEAD", "index", "config")}
        return {**files, **state, "main": self.git("rev-parse", "main"), "stash": self.git("stash", "list")}
