"""A stand-in of GitHub: its answers are the examples of GitHub's own description, with our values in them."""

import base64
import json
import time
from pathlib import Path
from typing import Any, ClassVar

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from .description import Call
from .server import Answer, HostServer, Request

TOKEN = "ghp-secret-of-the-platform"
APP_ID, INSTALLATION = "4711", 99
REPO = "/repos/{owner}/{repo}"


class GitHubServer(HostServer):
    """Repositories, pull requests, comments and checks of one organisation."""

    prefix = "/api/v3"
    host = "github"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.tokens = {TOKEN}
        self.orgs = {"acme"}
        self.repos: dict[str, dict[str, Any]] = {}
        self.pulls: dict[tuple[str, int], dict[str, Any]] = {}
        self.comments: dict[int, dict[str, Any]] = {}
        self.statuses: dict[str, dict[str, dict[str, Any]]] = {}
        self.runs: dict[str, list[dict[str, Any]]] = {}
        self.protection: dict[str, dict[str, Any]] = {}
        self.issued: list[dict[str, Any]] = []
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._number = 0

    @property
    def private_key(self) -> str:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    def authorised(self, request: Request, call: Call) -> bool:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if call.template.startswith("/app/") or call.template.endswith("/installation"):
            claims = jwt.decode(token, self.key.public_key(), algorithms=["RS256"])
            return bool(claims["iss"] == APP_ID)
        return scheme.lower() in {"bearer", "token"} and token in self.tokens

    def operation(self, call: Call, request: Request) -> Answer:
        # githubkit asks for an installation's token by itself, without a version.
        if request.headers.get("x-github-api-version") is None and not call.template.startswith("/app/"):
            self.invalid.append(f"{request.method} {request.path}: no API version")
        name = f"{call.method} {call.template}"
        return getattr(self, self._names[name])(call)  # type: ignore[no-any-return]

    _names: ClassVar[dict[str, str]] = {
        "get /orgs/{org}/installation": "_installation",
        "post /app/installations/{installation_id}/access_tokens": "_token",
        "get /orgs/{org}/repos": "_list_repos",
        "post /orgs/{org}/repos": "_create_repo",
        f"get {REPO}": "_get_repo",
        f"patch {REPO}": "_patch_repo",
        f"delete {REPO}": "_delete_repo",
        f"get {REPO}/branches": "_list_branches",
        f"get {REPO}/branches/{{branch}}": "_get_branch",
        f"put {REPO}/branches/{{branch}}/protection": "_protect",
        f"get {REPO}/contents/{{path}}": "_contents",
        f"get {REPO}/pulls": "_list_pulls",
        f"post {REPO}/pulls": "_create_pull",
        f"get {REPO}/pulls/{{pull_number}}": "_get_pull",
        f"patch {REPO}/pulls/{{pull_number}}": "_patch_pull",
        f"get {REPO}/issues/{{issue_number}}/comments": "_list_comments",
        f"post {REPO}/issues/{{issue_number}}/comments": "_create_comment",
        f"patch {REPO}/issues/comments/{{comment_id}}": "_patch_comment",
        f"post {REPO}/issues/{{issue_number}}/labels": "_label",
        f"get {REPO}/commits/{{ref}}/check-runs": "_check_runs",
        f"get {REPO}/commits/{{ref}}/status": "_status",
        f"post {REPO}/statuses/{{sha}}": "_create_status",
    }

    def unknown(self, request: Request) -> Answer:
        if request.path.endswith("/graphql"):
            return self._graphql(json.loads(request.body))
        return super().unknown(request)

    def _graphql(self, body: dict[str, Any]) -> Answer:
        import graphql

        from .description import ASSETS

        schema = graphql.build_schema((ASSETS / "github.graphql").read_text())
        errors = graphql.validate(schema, graphql.parse(body["query"]))
        if errors:
            self.invalid.append(f"graphql: {errors[0].message}")
            return 200, {"errors": [{"message": errors[0].message}]}
        pull = next(one for one in self.pulls.values() if one["node_id"] == body["variables"]["id"])
        pull["draft"] = "convertPullRequestToDraft" in body["query"]
        return 200, {"data": {"pullRequest": {"isDraft": pull["draft"]}}}

    # an App

    def _installation(self, call: Call) -> Answer:
        if call.path["org"] not in self.orgs:
            return 404, {"message": "Not Found"}
        return 200, {**self._example("get", "/orgs/{org}/installation"), "id": INSTALLATION}

    def _token(self, call: Call) -> Answer:
        if int(call.path["installation_id"]) != INSTALLATION:
            return 404, {"message": "Not Found"}
        token = f"ghs_{len(self.issued)}"
        self.tokens.add(token)
        self.issued.append({"token": token, **(call.body or {})})
        expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
        template = "/app/installations/{installation_id}/access_tokens"
        return 201, {**self._example("post", template), "token": token, "expires_at": expires}

    # repositories

    def _list_repos(self, call: Call) -> Answer:
        mine = [self._sized(repo) for repo in self.repos.values() if repo["owner"]["login"] == call.path["org"]]
        example = self._example("get", "/orgs/{org}/repos")[0]
        shown = [{**example, **{key: repo[key] for key in repo if key in example or key == "size"}} for repo in mine]
        return 200, self._page(call, shown)

    def _create_repo(self, call: Call) -> Answer:
        org, name = call.path["org"], call.body["name"]
        if org not in self.orgs:
            return 404, {"message": "Not Found"}
        if self._find(org, name) is not None:
            message = "name already exists on this account"
            return 422, {
                "message": "Repository creation failed.",
                "errors": [{"resource": "Repository", "message": message}],
            }
        # The description's own example of a new repository lacks what its schema requires.
        repo = {"has_discussions": False, "language": None, **self._example("get", REPO)}
        for fork in ("source", "parent", "template_repository"):
            repo.pop(fork, None)
        owner = {**repo["owner"], "login": org}
        repo.update(
            name=name, full_name=f"{org}/{name}", owner=owner, private=call.body["private"], size=0, archived=False,
            description=call.body.get("description"), clone_url=f"{self.root}/git/{org}/{name}.git",
            html_url=f"{self.root}/{org}/{name}", default_branch="main",
        )  # fmt: skip
        self.repos[f"{org}/{name}".lower()] = repo
        self.make_bare(org, name)
        return 201, repo

    def _get_repo(self, call: Call) -> Answer:
        repo = self._repo(call)
        return (404, {"message": "Not Found"}) if repo is None else (200, repo)

    def _patch_repo(self, call: Call) -> Answer:
        repo = self._repo(call)
        if repo is None:
            return 404, {"message": "Not Found"}
        repo.update(call.body)
        return 200, repo

    def _delete_repo(self, call: Call) -> Answer:
        repo = self._repo(call)
        if repo is None:
            return 404, {"message": "Not Found"}
        del self.repos[repo["full_name"].lower()]
        self.bare(repo["owner"]["login"], repo["name"]).rename(self.folder / f"deleted-{time.monotonic_ns()}")
        return 204, None

    def _list_branches(self, call: Call) -> Answer:
        branches = self.branches_of(call.path["owner"], call.path["repo"])
        return 200, self._page(call, [self._branch(name, commit) for name, commit in branches.items()])

    def _get_branch(self, call: Call) -> Answer:
        branch = call.path["branch"]
        commit = self.branches_of(call.path["owner"], call.path["repo"]).get(branch)
        if commit is None:
            return 404, {"message": "Branch not found"}
        example = self._example("get", f"{REPO}/branches/{{branch}}")
        return 200, {**example, "name": branch, "commit": {**example["commit"], "sha": commit}}

    def _branch(self, name: str, commit: str) -> dict[str, Any]:
        example = self._example("get", f"{REPO}/branches")[0]
        example.pop("protection", None)
        return {**example, "name": name, "commit": {**example["commit"], "sha": commit}}

    def _protect(self, call: Call) -> Answer:
        if call.path["branch"] not in self.branches_of(call.path["owner"], call.path["repo"]):
            return 404, {"message": "Branch not found"}
        self.protection[f"{call.path['owner']}/{call.path['repo']}"] = call.body
        return 200, self._example("put", f"{REPO}/branches/{{branch}}/protection")

    def _contents(self, call: Call) -> Answer:
        ref = call.query.get("ref", "main")
        content = self.file_of(call.path["owner"], call.path["repo"], call.path["path"], ref)
        if content is None:
            return 404, {"message": "Not Found"}
        example = self._example("get", f"{REPO}/contents/{{path}}")
        text = base64.encodebytes(content).decode()
        return 200, {**example, "content": text, "encoding": "base64", "path": call.path["path"]}

    # pull requests

    def _list_pulls(self, call: Call) -> Answer:
        org, head = call.query["head"].split(":", 1)
        state = call.query.get("state", "open")
        repo = f"{call.path['owner']}/{call.path['repo']}"
        assert org == call.path["owner"]
        found = [
            pull
            for (where, _), pull in sorted(self.pulls.items(), reverse=True)
            if where == repo and pull["head"]["ref"] == head and state in {"all", pull["state"]}
        ]
        example = self._example("get", f"{REPO}/pulls")[0]
        return 200, [{**example, **{key: pull[key] for key in example if key in pull}} for pull in found]

    def _create_pull(self, call: Call) -> Answer:
        org, name = call.path["owner"], call.path["repo"]
        body, branches = call.body, self.branches_of(call.path["owner"], call.path["repo"])
        if body["head"] not in branches:
            return 422, {"message": "Validation Failed", "errors": [{"field": "head", "code": "invalid"}]}
        if any(one["head"]["ref"] == body["head"] and one["state"] == "open" for one in self._pulls(call)):
            return 422, {"message": "Validation Failed", "errors": [{"message": "A pull request already exists"}]}
        self._number += 1
        pull = self._example("post", f"{REPO}/pulls")
        pull.update(
            number=self._number, node_id=f"PR_{self._number}", title=body["title"], body=body["body"], state="open",
            draft=body["draft"], labels=[], requested_teams=[], merged=False, mergeable=True, merge_commit_sha=None,
            html_url=f"{self.root}/{org}/{name}/pull/{self._number}",
        )  # fmt: skip
        pull["head"].update(ref=body["head"], sha=branches[body["head"]])
        pull["base"].update(ref=body["base"], sha=branches[body["base"]])
        self.pulls[f"{org}/{name}", self._number] = pull
        return 201, pull

    def _get_pull(self, call: Call) -> Answer:
        pull = self._pull(call)
        if pull is None:
            return 404, {"message": "Not Found"}
        branches = self.branches_of(call.path["owner"], call.path["repo"])
        pull["head"]["sha"] = branches.get(pull["head"]["ref"], pull["head"]["sha"])
        return 200, pull

    def _patch_pull(self, call: Call) -> Answer:
        pull = self._pull(call)
        if pull is None:
            return 404, {"message": "Not Found"}
        pull.update(call.body)
        return 200, pull

    def _list_comments(self, call: Call) -> Answer:
        number = int(call.path["issue_number"])
        return 200, self._page(call, [one for one in self.comments.values() if one["number"] == number])

    def _create_comment(self, call: Call) -> Answer:
        comment = self._example("post", f"{REPO}/issues/{{issue_number}}/comments")
        identifier = len(self.comments) + 1
        comment.update(id=identifier, body=call.body["body"], number=int(call.path["issue_number"]))
        self.comments[identifier] = comment
        return 201, comment

    def _patch_comment(self, call: Call) -> Answer:
        comment = self.comments[int(call.path["comment_id"])]
        comment.update(call.body)
        return 200, comment

    def _label(self, call: Call) -> Answer:
        pull = self.pulls[f"{call.path['owner']}/{call.path['repo']}", int(call.path["issue_number"])]
        example = self._example("post", f"{REPO}/issues/{{issue_number}}/labels")[0]
        present = {label["name"] for label in pull["labels"]}
        added = [{**example, "name": name} for name in call.body["labels"] if name not in present]
        pull["labels"] += added
        return 200, pull["labels"]

    def _check_runs(self, call: Call) -> Answer:
        example = self._example("get", f"{REPO}/commits/{{ref}}/check-runs")["check_runs"][0]
        runs = [{**example, **run} for run in self.runs.get(call.path["ref"], [])]
        return 200, {"total_count": len(runs), "check_runs": self._page(call, runs)}

    def _status(self, call: Call) -> Answer:
        example = self._example("get", f"{REPO}/commits/{{ref}}/status")
        one = example["statuses"][0]
        found = self.statuses.get(call.path["ref"], {})
        statuses = [{**one, "context": name, "state": status["state"]} for name, status in found.items()]
        return 200, {**example, "statuses": self._page(call, statuses), "total_count": len(statuses)}

    def _create_status(self, call: Call) -> Answer:
        self.statuses.setdefault(call.path["sha"], {})[call.body["context"]] = call.body
        return 201, {**self._example("post", f"{REPO}/statuses/{{sha}}"), **call.body}

    def _pulls(self, call: Call) -> list[dict[str, Any]]:
        repo = f"{call.path['owner']}/{call.path['repo']}"
        return [pull for (where, _), pull in self.pulls.items() if where == repo]

    def _pull(self, call: Call) -> dict[str, Any] | None:
        return self.pulls.get((f"{call.path['owner']}/{call.path['repo']}", int(call.path["pull_number"])))

    def _repo(self, call: Call) -> dict[str, Any] | None:
        repo = self._find(call.path["owner"], call.path["repo"])
        return None if repo is None else self._sized(repo)

    def _sized(self, repo: dict[str, Any]) -> dict[str, Any]:
        repo["size"] = 12 if self.branches_of(repo["owner"]["login"], repo["name"]) else 0
        return repo

    def _find(self, org: str, name: str) -> dict[str, Any] | None:
        return self.repos.get(f"{org}/{name}".lower())

    def _example(self, method: str, template: str) -> Any:
        return self.description.example(method, template)

    @staticmethod
    def _page(call: Call, items: list[Any]) -> list[Any]:
        size, page = call.query.get("per_page", 30), call.query.get("page", 1)
        return items[(page - 1) * size : page * size]
