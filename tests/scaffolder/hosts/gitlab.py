"""A stand-in of GitLab."""

from pathlib import Path
from typing import Any

from .description import Call
from .server import Answer, HostServer, Request

TOKEN = "glpat-secret-of-the-platform"
PROJECT = "/projects/{id}"
MERGE = f"{PROJECT}/merge_requests"


class GitLabServer(HostServer):
    """Projects, merge requests, notes and statuses of one group."""

    prefix = "/api/v4"
    host = "gitlab"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.tokens = {TOKEN}
        self.groups = {"acme": 7, "acme/ml": 8}
        self.projects: dict[str, dict[str, Any]] = {}
        self.merges: dict[tuple[str, int], dict[str, Any]] = {}
        self.notes: dict[int, dict[str, Any]] = {}
        self.protected: dict[str, dict[str, Any]] = {}
        self.rules: dict[str, list[dict[str, Any]]] = {}
        self.pipelines: dict[str, str] = {}
        self.delayed_deletion = False
        self.has_approval_rules = True

    def authorised(self, request: Request, call: Call) -> bool:
        return request.headers.get("private-token") in self.tokens

    def operation(self, call: Call, request: Request) -> Answer:
        names = {
            "post /projects": self._create,
            f"get {PROJECT}": lambda c: self._of(c, lambda p: (200, p)),
            f"put {PROJECT}": self._update,
            f"delete {PROJECT}": self._delete,
            "get /groups/{id}": self._group,
            "get /groups/{id}/projects": self._group_projects,
            f"post {PROJECT}/protected_branches": self._protect,
            f"get {PROJECT}/protected_branches/{{name}}": self._get_protected,
            f"delete {PROJECT}/protected_branches/{{name}}": self._unprotect,
            f"get {PROJECT}/repository/branches": self._branches,
            f"get {PROJECT}/repository/branches/{{branch}}": self._branch,
            f"get {PROJECT}/repository/files/{{file_path}}/raw": self._file,
            f"get {PROJECT}/approval_rules": self._list_rules,
            f"post {PROJECT}/approval_rules": self._create_rule,
            f"put {PROJECT}/approval_rules/{{approval_rule_id}}": self._update_rule,
            f"get {MERGE}": self._list_merges,
            f"post {MERGE}": self._create_merge,
            f"get {MERGE}/{{merge_request_iid}}": lambda c: self._merge(c, lambda m: (200, self._shown(m))),
            f"put {MERGE}/{{merge_request_iid}}": self._update_merge,
            f"get {MERGE}/{{noteable_id}}/notes": self._list_notes,
            f"post {MERGE}/{{noteable_id}}/notes": self._create_note,
            f"put {MERGE}/{{noteable_id}}/notes/{{note_id}}": self._update_note,
            f"post {PROJECT}/statuses/{{sha}}": self._create_status,
        }
        return names[f"{call.method} {call.template}"](call)

    # projects

    def _create(self, call: Call) -> Answer:
        group = {identifier: path for path, identifier in self.groups.items()}.get(call.body["namespace_id"])
        if group is None:
            return 400, {"message": {"namespace": ["is not valid"]}}
        path = f"{group}/{call.body['path']}"
        if path.lower() in self.projects:
            return 400, {"message": {"path": ["has already been taken"], "name": ["has already been taken"]}}
        project = {
            "id": len(self.projects) + 1,
            "name": call.body["name"],
            "path": call.body["path"],
            "path_with_namespace": path,
            "description": call.body.get("description"),
            "default_branch": None,
            "http_url_to_repo": f"{self.root}/git/{path}.git",
            "web_url": f"{self.root}/{path}",
            "visibility": call.body["visibility"],
            "archived": False,
            "empty_repo": True,
        }
        self.projects[path.lower()] = project
        self.make_bare(group, call.body["path"])
        return 201, project

    def _update(self, call: Call) -> Answer:
        def change(project: dict[str, Any]) -> Answer:
            project.update(call.body)
            return 200, project

        return self._of(call, change)

    def _delete(self, call: Call) -> Answer:
        def delete(project: dict[str, Any]) -> Answer:
            if self.delayed_deletion and not call.query.get("permanently_remove"):
                project["marked_for_deletion_on"] = "2026-01-01"
                return 202, {"message": "202 Accepted"}
            path = project["path_with_namespace"]
            if call.query.get("permanently_remove") and call.query.get("full_path") != path:
                return 400, {"message": "`full_path` is incorrect"}
            del self.projects[path.lower()]
            org, _, name = path.rpartition("/")
            self.bare(org, name).rename(self.folder / f"deleted-{len(self.requests)}")
            return 202, {"message": "202 Accepted"}

        return self._of(call, delete)

    def _group(self, call: Call) -> Answer:
        path = call.path["id"]
        if path not in self.groups:
            return 404, {"message": "404 Group Not Found"}
        return 200, {"id": self.groups[path], "full_path": path, "name": path, "path": path.rpartition("/")[2]}

    def _group_projects(self, call: Call) -> Answer:
        prefix = call.path["id"].lower() + "/"
        found = [one for path, one in self.projects.items() if path.startswith(prefix)]
        return 200, self._page(call, [self._fresh(one) for one in found])

    def _fresh(self, project: dict[str, Any]) -> dict[str, Any]:
        org, _, name = project["path_with_namespace"].rpartition("/")
        if (branches := self.branches_of(org, name)) and project["empty_repo"]:
            project.update(empty_repo=False, default_branch="main" if "main" in branches else next(iter(branches)))
            self.protected.setdefault(f"{org}/{name}", self._level("main", 40))
        return project

    def _level(self, name: str, push: int) -> dict[str, Any]:
        return {
            "id": 1,
            "name": name,
            "push_access_levels": [{"access_level": push}],
            "merge_access_levels": [{"access_level": 40}],
            "allow_force_push": False,
        }

    def _protect(self, call: Call) -> Answer:
        def protect(project: dict[str, Any]) -> Answer:
            path = project["path_with_namespace"]
            if path in self.protected:
                return 409, {"message": "Protected branch 'main' already exists"}
            self.protected[path] = {
                **self._level(call.body["name"], call.body["push_access_level"]),
                "merge_access_levels": [{"access_level": call.body["merge_access_level"]}],
            }
            return 201, self.protected[path]

        return self._of(call, protect)

    def _get_protected(self, call: Call) -> Answer:
        def show(project: dict[str, Any]) -> Answer:
            found = self.protected.get(project["path_with_namespace"])
            return (200, found) if found else (404, {"message": "404 Not found"})

        return self._of(call, show)

    def _unprotect(self, call: Call) -> Answer:
        def remove(project: dict[str, Any]) -> Answer:
            self.protected.pop(project["path_with_namespace"], None)
            return 204, None

        return self._of(call, remove)

    def _branches(self, call: Call) -> Answer:
        def show(project: dict[str, Any]) -> Answer:
            org, _, name = project["path_with_namespace"].rpartition("/")
            return 200, self._page(call, [_branch(*one) for one in self.branches_of(org, name).items()])

        return self._of(call, show)

    def _branch(self, call: Call) -> Answer:
        def show(project: dict[str, Any]) -> Answer:
            org, _, name = project["path_with_namespace"].rpartition("/")
            branch = call.path["branch"]
            commit = self.branches_of(org, name).get(branch)
            return (404, {"message": "404 Branch Not Found"}) if commit is None else (200, _branch(branch, commit))

        return self._of(call, show)

    def _file(self, call: Call) -> Answer:
        def show(project: dict[str, Any]) -> Answer:
            org, _, name = project["path_with_namespace"].rpartition("/")
            content = self.file_of(org, name, call.path["file_path"], call.query.get("ref", "HEAD"))
            return (404, {"message": "404 File Not Found"}) if content is None else (200, content)

        return self._of(call, show)

    def _list_rules(self, call: Call) -> Answer:
        if not self.has_approval_rules:
            return 404, {"message": "404 Not Found"}
        return self._of(call, lambda project: (200, self.rules.get(project["path_with_namespace"], [])))

    def _create_rule(self, call: Call) -> Answer:
        def create(project: dict[str, Any]) -> Answer:
            rule = {"id": 1, "rule_type": "regular", **call.body}
            self.rules.setdefault(project["path_with_namespace"], []).append(rule)
            return 201, rule

        return self._of(call, create)

    def _update_rule(self, call: Call) -> Answer:
        def update(project: dict[str, Any]) -> Answer:
            rule = self.rules[project["path_with_namespace"]][0]
            rule.update(call.body)
            return 200, rule

        return self._of(call, update)

    # merge requests

    def _list_merges(self, call: Call) -> Answer:
        def show(project: dict[str, Any]) -> Answer:
            state = call.query.get("state", "all")
            found = [
                self._shown(merge)
                for (path, _), merge in sorted(self.merges.items(), reverse=True)
                if path == project["path_with_namespace"]
                and merge["source_branch"] == call.query["source_branch"]
                and state in {"all", merge["state"]}
            ]
            return 200, found

        return self._of(call, show)

    def _create_merge(self, call: Call) -> Answer:
        def create(project: dict[str, Any]) -> Answer:
            path, body = project["path_with_namespace"], call.body
            org, _, name = path.rpartition("/")
            if body["source_branch"] not in self.branches_of(org, name):
                return 400, {"message": {"source_branch": ["does not exist"]}}
            mine = [one for (where, _), one in self.merges.items() if where == path]
            if any(one["state"] == "opened" and one["source_branch"] == body["source_branch"] for one in mine):
                return 409, {"message": ["Another open merge request already exists for this source branch: !1"]}
            number = len(mine) + 1
            merge = {
                "id": 100 + number, "iid": number, "title": body["title"], "description": body["description"],
                "state": "opened", "labels": list(body.get("labels", [])), "source_branch": body["source_branch"],
                "target_branch": body["target_branch"], "web_url": f"{project['web_url']}/-/merge_requests/{number}",
                "merge_commit_sha": None, "has_conflicts": False, "detailed_merge_status": "mergeable", "path": path,
            }  # fmt: skip
            self.merges[path, number] = merge
            return 201, self._shown(merge)

        return self._of(call, create)

    def _update_merge(self, call: Call) -> Answer:
        def update(merge: dict[str, Any]) -> Answer:
            changes = dict(call.body)
            if changes.pop("state_event", None) == "close":
                merge["state"] = "closed"
            merge["labels"] += [one for one in changes.pop("add_labels", []) if one not in merge["labels"]]
            merge.update(changes)
            return 200, self._shown(merge)

        return self._merge(call, update)

    def _shown(self, merge: dict[str, Any]) -> dict[str, Any]:
        org, _, name = merge["path"].rpartition("/")
        sha = self.branches_of(org, name).get(merge["source_branch"], "0" * 40)
        status = self.pipelines.get(sha)
        pipeline = None if status is None else {"id": 1, "sha": sha, "status": status}
        return {**merge, "sha": sha, "draft": merge["title"].startswith("Draft:"), "head_pipeline": pipeline}

    def _list_notes(self, call: Call) -> Answer:
        number = int(call.path["noteable_id"])
        return 200, self._page(call, [note for note in self.notes.values() if note["noteable_iid"] == number])

    def _create_note(self, call: Call) -> Answer:
        identifier = len(self.notes) + 1
        number = int(call.path["noteable_id"])
        note = {
            "id": identifier,
            "body": call.body["body"],
            "author": {"id": 1},
            "system": False,
            "noteable_iid": number,
        }
        self.notes[identifier] = note
        return 201, note

    def _update_note(self, call: Call) -> Answer:
        note = self.notes[int(call.path["note_id"])]
        note.update(call.body)
        return 200, note

    def _create_status(self, call: Call) -> Answer:
        self.pipelines[call.path["sha"]] = call.body["state"]
        return 201, {"id": 1, "sha": call.path["sha"], "status": call.body["state"], "name": call.body["name"]}

    def _of(self, call: Call, then: Any) -> Answer:
        wanted = call.path["id"]
        project = next(
            (one for path, one in self.projects.items() if wanted.lower() == path or wanted == str(one["id"])), None
        )
        if project is None:
            return 404, {"message": "404 Project Not Found"}
        answer: Answer = then(self._fresh(project))
        return answer

    def _merge(self, call: Call, then: Any) -> Answer:
        def of(project: dict[str, Any]) -> Answer:
            merge = self.merges.get((project["path_with_namespace"], int(call.path["merge_request_iid"])))
            answer: Answer = (404, {"message": "404 Not found"}) if merge is None else then(merge)
            return answer

        return self._of(call, of)

    @staticmethod
    def _page(call: Call, items: list[Any]) -> list[Any]:
        size, page = call.query.get("per_page", 20), call.query.get("page", 1)
        return items[(page - 1) * size : page * size]


def _branch(name: str, commit: str) -> dict[str, Any]:
    return {"name": name, "commit": {"id": commit}, "protected": False, "default": False, "merged": False}
