"""Find functions that train and functions that load data, and what they say about the data."""

import ast
import re
from collections.abc import Iterable, Iterator

from scaffolder.adopt.survey.facts import FoundFunction, Guess
from scaffolder.adopt.survey.modules import Module

_TRAIN = re.compile(r"^(train|fit|run_train|do_train|build_and_train|main_train|train_model|training)")
_LOAD = re.compile(r"^(load|read|get|fetch|make|build)_?\w*(data|frame|df|dataset|rows|table)?")
_READERS = re.compile(r"^read_(csv|parquet|feather|excel|json|sql|sql_query|sql_table|pickle|table|orc|hdf)$")
_TARGET_NAMES = {"y", "target", "targets", "label", "labels", "y_train", "y_all"}
_TARGET_CONSTANT = re.compile(r"^(TARGET|LABEL|Y)(_COL(UMN)?|_NAME|_VARIABLE|_FIELD)?$", re.IGNORECASE)
_CLASSIFIES = re.compile(
    r"Classifier$|^(LogisticRegression|SVC|LinearSVC|GaussianNB|MultinomialNB|BernoulliNB|CrossEntropyLoss|BCELoss|"
    r"BCEWithLogitsLoss|NLLLoss|LinearDiscriminantAnalysis)$"
)
_REGRESSES = re.compile(
    r"Regressor$|^(LinearRegression|Ridge|Lasso|ElasticNet|SVR|LinearSVR|MSELoss|L1Loss|HuberLoss|BayesianRidge)$"
)


def functions(modules: Iterable[Module]) -> Iterator[tuple[Module, ast.FunctionDef]]:
    """Yield the functions at the top of importable modules that are no tests."""
    for module in modules:
        if module.is_test or module.name is None:
            continue
        for node in module.tree.body:
            if isinstance(node, ast.FunctionDef):
                yield module, node


def training(modules: list[Module]) -> tuple[FoundFunction | None, list[FoundFunction]]:
    """Return the function that the platform could call as it is, and those that train, the likeliest first."""
    ready = None
    scored: list[tuple[int, FoundFunction]] = []
    for module, node in functions(modules):
        found = _found(module, node)
        if len(found.required) == 1 and _mentions(node.args.args[0].annotation, "TrainingContext"):
            ready = ready or found
        score = 4 * _fits(node) + 3 * bool(_TRAIN.match(node.name)) + any(_returned(node))
        if score >= 4:
            scored.append((score, found))
    scored.sort(key=lambda item: -item[0])
    return ready, [found for _, found in scored]


def loaders(modules: list[Module]) -> list[FoundFunction]:
    """Return functions that return a DataFrame for certain, those that need no argument first."""
    scored = []
    for module, node in functions(modules):
        certain = _mentions(node.returns, "DataFrame") or any(_is_frame(value, node) for value in _returned(node))
        if certain and not _fits(node):
            scored.append(
                (bool(node.args.args) and bool(_required(node)), not _LOAD.match(node.name), _found(module, node))
            )
    scored.sort(key=lambda item: item[:2])
    return [found for _, _, found in scored]


def data_uri(modules: list[Module]) -> Guess[str] | None:
    """Return where the data comes from, as far as a call that reads it says so."""
    weak: Guess[str] | None = None
    for module in modules:
        if module.is_test:
            continue
        constants = _constants(module.tree) | _defaults(module.tree)
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Call):
                continue
            name = _called(node)
            place = (f"{module.file}:{node.lineno} {name}()",)
            if name.startswith(("load_", "fetch_")) and _imports(module.tree, "sklearn.datasets", name):
                return Guess(f"scikit-learn://{name.partition('_')[2]}", place)
            if _READERS.match(name) and node.args:
                value = _text(node.args[0], constants)
                if value is not None and value:
                    uri = value if "://" in value else f"file://{value.removeprefix('./').lstrip('/')}"
                    if "://" in value:
                        return Guess(uri[:500], place)
                    weak = weak or Guess(uri[:500], place)
    return weak


def target(modules: list[Module]) -> Guess[str] | None:
    """Return the column that holds the truth: named by a constant, or taken out of the data as ``y``."""
    votes: dict[str, list[str]] = {}
    for module in modules:
        if module.is_test:
            continue
        constants = _constants(module.tree)
        for name, (value, line) in constants.items():
            if _TARGET_CONSTANT.match(name):
                votes.setdefault(value, []).insert(0, f"{module.file}:{line} {name}")
                votes[value] += [""] * 3
        for node in ast.walk(module.tree):
            for column, line, how in _taken_out(node, constants):
                votes.setdefault(column, []).append(f"{module.file}:{line} {how}")
    if not votes:
        return None
    best = max(votes, key=lambda column: len(votes[column]))
    return Guess(best, tuple(place for place in votes[best] if place)[:4])


def evaluator(modules: list[Module]) -> Guess[str] | None:
    """Return ``classifier`` or ``regressor`` by the estimators and losses that are used."""
    seen: dict[str, list[str]] = {"classifier": [], "regressor": []}
    for module in modules:
        if module.is_test:
            continue
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call):
                name = _called(node)
                kind = "classifier" if _CLASSIFIES.search(name) else "regressor" if _REGRESSES.search(name) else None
                if kind is not None:
                    seen[kind].append(f"{module.file}:{node.lineno} {name}")
    best = max(seen, key=lambda kind: len(seen[kind]))
    return Guess(best, tuple(seen[best][:4])) if seen[best] else None


def _taken_out(node: ast.AST, constants: dict[str, tuple[str, int]]) -> Iterator[tuple[str, int, str]]:
    if isinstance(node, ast.Assign):
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        names += [
            part.id for target in node.targets if isinstance(target, ast.Tuple) for part in target.elts
            if isinstance(part, ast.Name)
        ]  # fmt: skip
        values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
        if _TARGET_NAMES & set(names):
            for value in values:
                if isinstance(value, ast.Subscript) and (column := _text(value.slice, constants)):
                    yield column, node.lineno, f"{names[-1]} = …[{column!r}]"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr == "pop" and node.args and (column := _text(node.args[0], constants)):
            yield column, node.lineno, f".pop({column!r})"
        if node.func.attr == "drop":
            given = [*node.args[:1], *(word.value for word in node.keywords if word.arg in {"columns", "labels"})]
            for value in given:
                parts = value.elts if isinstance(value, ast.List | ast.Tuple) else [value]
                if len(parts) == 1 and (column := _text(parts[0], constants)):
                    yield column, node.lineno, f".drop({column!r})"


def _found(module: Module, node: ast.FunctionDef) -> FoundFunction:
    values = list(_returned(node))
    returns = "nothing" if not values else "several" if any(isinstance(value, ast.Tuple) for value in values) else "one"
    return FoundFunction(str(module.name), node.name, module.file, node.lineno, _required(node), returns)


def _required(node: ast.FunctionDef) -> tuple[str, ...]:
    positional = [*node.args.posonlyargs, *node.args.args]
    without = positional[: len(positional) - len(node.args.defaults)]
    words = [word for word, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if default is None]
    return tuple(argument.arg for argument in (*without, *words))


def _fits(node: ast.AST) -> bool:
    calls = [part for part in ast.walk(node) if isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute)]
    return any(
        call.func.attr in {"fit", "backward", "partial_fit"} for call in calls if isinstance(call.func, ast.Attribute)
    )


def _returned(node: ast.FunctionDef) -> Iterator[ast.expr]:
    for part in ast.walk(node):
        if isinstance(part, ast.Return) and part.value is not None:
            yield part.value


def _is_frame(value: ast.expr, function: ast.FunctionDef, depth: int = 0) -> bool:
    """Say whether an expression is a DataFrame for certain: read by pandas, or a name that was bound to one."""
    if depth > 4:
        return False
    if isinstance(value, ast.Call):
        name = _called(value)
        if _READERS.match(name) or name == "DataFrame":
            return True
        chained = value.func.value if isinstance(value.func, ast.Attribute) else None
        kept = {
            "dropna",
            "copy",
            "reset_index",
            "rename",
            "assign",
            "query",
            "drop",
            "fillna",
            "astype",
            "sort_values",
            "sample",
        }
        return name in kept and chained is not None and _is_frame(chained, function, depth + 1)
    if isinstance(value, ast.Attribute):
        return value.attr == "frame"
    if isinstance(value, ast.Name):
        bound = [
            part.value
            for part in ast.walk(function)
            if isinstance(part, ast.Assign)
            and any(isinstance(target, ast.Name) and target.id == value.id for target in part.targets)
        ]
        return bool(bound) and any(
            _is_frame(part, function, depth + 1) for part in bound if not _is_self(part, value.id)
        )
    return False


def _is_self(value: ast.expr, name: str) -> bool:
    return isinstance(value, ast.Name) and value.id == name


def _mentions(node: ast.expr | None, name: str) -> bool:
    return node is not None and re.search(rf"\b{name}\b", ast.unparse(node)) is not None


def _called(node: ast.Call) -> str:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _imports(tree: ast.Module, module: str, name: str) -> bool:
    return any(
        (isinstance(node, ast.ImportFrom) and node.module == module and any(alias.name == name for alias in node.names))
        or (isinstance(node, ast.Import | ast.ImportFrom) and any(alias.name in {"datasets", module} for alias in node.names))
        for node in ast.walk(tree)
    )  # fmt: skip


def _constants(tree: ast.Module) -> dict[str, tuple[str, int]]:
    """Return the module's texts by name, with their lines."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            for place in node.targets:
                if isinstance(place, ast.Name):
                    found[place.id] = (node.value.value, node.lineno)
    return found


def _defaults(tree: ast.Module) -> dict[str, tuple[str, int]]:
    """Return the texts that parameters have by default, by the parameters' names."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            for argument, default in zip(reversed(node.args.args), reversed(node.args.defaults), strict=False):
                if (value := _text(default, {})) is not None:
                    found[argument.arg] = (value, node.lineno)
    return found


def _text(node: ast.expr, constants: dict[str, tuple[str, int]]) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.Name) and node.id in constants:
        return constants[node.id][0]
    if isinstance(node, ast.Call) and _called(node) == "Path" and len(node.args) == 1:
        return _text(node.args[0], constants)
    return None
