"""The chapters of the demo, in order. Each one runs the commands of a user and says what came of them."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from backend.local.portal.build import PortalError, prepare
from demo import auditor, health, load, repository, template_fix
from demo.shell import DemoError, Person, person, wait_until

AUTHOR, APPROVER = "ada", "grace"
MODEL = "tumour-screening"
ENVIRONMENT = "production"


@dataclass
class Traffic:
    """Users of the model while a rollout runs."""

    process: "subprocess.Popen[bytes]"
    record: Path

    def stop(self) -> list[load.Request]:
        """Stop the users and return what they saw."""
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
        return load.read(self.record)


@dataclass
class Story:
    """State that the chapters share: who acts, which model, and what took how long."""

    home: Path
    configs: list[Path]
    rate: float
    console: Console
    durations: list[tuple[str, float]] = field(default_factory=list)
    failed_requests: list[tuple[str, int, int]] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)
    urls: dict[str, str] = field(default_factory=dict)
    model: str = MODEL
    portal: bool = True

    def tell(self) -> None:
        """Tell the whole story, from nothing to the audit trail."""
        with self._chapter("Make the portal ready"):
            self._prepare_portal()
        with self._chapter("Start the platform"):
            self._start_platform()
        with self._chapter("Create a repository"):
            self._create()
        with self._chapter("Train, gates, register, first deployment"):
            first = self._ship("First version")
            self._say(f"[green]live[/green]: version {first['version']} answers at {self._endpoint()}")
        with self._chapter("A better version, step by step under load"):
            self._better_version()
        with self._chapter("A worse version is refused"):
            self._worse_version()
        with self._chapter("A version that is slow and errs in production is rolled back"):
            self._broken_version()
        with self._chapter("A fix of the template arrives by pull request"):
            self._template_fix()
        with self._chapter("How healthy the model is, and what it has cost"):
            health.objectives(self.author, self.model, self._say)
            health.cost(self.author, self.model, self._say)
        with self._chapter("The audit trail"):
            self._audit()
        with self._chapter("What the auditor gets"):
            auditor.classify(self.author, self.approver, self._say)
            auditor.controls(self.operator, self._say)
            auditor.evidence(self.operator, self.home, self._say)
        self._farewell()

    def close(self) -> None:
        """End what was started in the background for the story itself; the platform stays up."""
        for someone in self.people:
            someone.stop()

    def _prepare_portal(self) -> None:
        try:
            prepare(self._say)
        except PortalError as fault:
            self.portal = False
            self._say(f"[yellow]left out[/yellow]: {fault.message} ({fault.fix})")

    def _start_platform(self) -> None:
        options = [*self._configured(), *([] if self.portal else ["--no-portal"])]
        self.urls = self._person("operator").platform("up", *options).document["urls"]
        self.author, self.approver = self._person(AUTHOR), self._person(APPROVER)
        self.author.platform("login", "--user", f"user:default/{AUTHOR}")
        self.approver.platform("login", "--user", f"user:default/{APPROVER}")
        self.operator = self._person("operator")
        self.operator.platform("login", "--user", "user:default/operator")

    def _configured(self) -> list[str]:
        return [part for path in self.configs for part in ("--config", str(path))]

    def _create(self) -> None:
        taken = {item["name"] for item in self._get("/registry/models?limit=200")["items"]}
        taken |= {path.stem for path in (self.home / "git" / "models").glob("*.git")}
        folder = self.home / "demo"
        folder.mkdir(parents=True, exist_ok=True)
        number = 1
        while self.model in taken or (folder / self.model).exists():
            number += 1
            self.model = f"{MODEL}-{number}"
        self.author.folder = folder
        self.author.platform("new", self.model, "--type", "realtime", "--defaults", *repository.ANSWERS)
        self.author.folder = folder / self.model
        repository.first_version(self.author.folder)
        self.author.git(
            "commit", "--all", "--message", "Start with few features, and with steps short enough for a demo"
        )
        self._say(f"repository at {self.author.folder}, first commit made")

    def _ship(self, what: str, *, wanted: str = "promoted") -> dict[str, Any]:
        """Run the whole pipeline as the author, approve as somebody else, and follow the rollout to its end."""
        log = self.home / "demo" / f"{self.model}-{int(time.time())}.log"
        pipeline = self.author.start("run", "--env", ENVIRONMENT, "--wait", log=log)
        with self.console.status(f"{what}: check, train, validate, scan, register") as status:
            waiting = self._until(
                pipeline, log, lambda: self._newest("awaiting_approval"), what="a deployment to approve"
            )
            status.update(f"{what}: waiting for the approver")
            self.approver.platform("approve", waiting["id"], "--comment", f"{what} looks right")
            seen = 0
            while True:
                deployment = self._get(f"/deployments/{waiting['id']}")
                seen = self._tell_steps(deployment, seen)
                if deployment["outcome"]:
                    break
                status.update(f"{what}: {deployment['phase']}")
                time.sleep(0.5)
        pipeline.wait(timeout=60)
        if deployment["outcome"] != wanted:
            raise DemoError(f"the rollout ended as {deployment['outcome']}, not {wanted}: {deployment['reason']}")
        expected_status = 0 if wanted == "promoted" else 1
        if pipeline.returncode != expected_status:
            raise DemoError(
                f"`platform run` ended with {pipeline.returncode}, not {expected_status}:\n{log.read_text()}"
            )
        return deployment

    def _better_version(self) -> None:
        repository.better_version(self.author.folder)
        self.author.commit("Use all features")
        with self._users("better version") as seen:
            deployment = self._ship("Better version")
        self._say(f"[green]promoted[/green]: version {deployment['version']}; {self._failures(seen)}")

    def _worse_version(self) -> None:
        repository.worse_version(self.author.folder)
        self.author.commit("Keep one feature only")
        result = self.author.platform("run", "--env", ENVIRONMENT, expect=1)
        self._say(f"the pipeline stopped: {_reason(result.document, result.messages)}")
        self._say("Somebody tries to get round it, by registering and deploying by hand:")
        self.author.platform("scan")
        self.author.platform("register")
        refused = self.author.platform("deploy", "--env", ENVIRONMENT, "--no-wait", expect=1)
        requirements = refused.document.get("error", {}).get("requirements", [])
        for requirement in requirements:
            colour = {"met": "green", "waiting": "yellow"}.get(requirement["state"], "red")
            self._say(
                f"  [{colour}]{requirement['state']:8}[/{colour}] {requirement['requirement']}: {requirement['message']}"
            )
        if not requirements:
            raise DemoError(f"expected a refusal with its requirements, got: {refused.document} {refused.messages}")

    def _broken_version(self) -> None:
        repository.broken_version(self.author.folder)
        self.author.commit("Look each request up in the enrichment service")
        with self._users("broken version") as seen:
            deployment = self._ship("Broken version", wanted="rolled_back")
        version = str(deployment["version"])
        failures = [request for request in seen if request.failed and request.version in {version, ""}]
        served = [request.sent_at for request in seen if request.version == version]
        self._say(f"[green]rolled back by the platform[/green]: {deployment['reason']}")
        if failures and served:
            self._say(
                f"from its first failed request to its last one: {(max(served) - failures[0].sent_at).total_seconds():.1f} s"
            )
        self._say(self._failures(seen))

    def _template_fix(self) -> None:
        self.author.git("revert", "--no-edit", "HEAD")
        self.author.git("checkout", "--quiet", "-b", "features")
        self.author.git("push", "--quiet", "origin", "features")
        opened = self.author.platform("pr", "create", "--title", "Use all features").document
        self.author.platform("pr", "merge", str(opened["number"]))
        self._say(f"the engineer's own work is merged: #{opened['number']} {opened['title']}")

        checkout = template_fix.copy_checkout(self.home / "demo" / "platform-checkout")
        golden_path = self.operator.platform("templates", "list").document["items"][0]
        change = template_fix.ignore_more(checkout, len(golden_path["versions"]) - 1)
        version = template_fix.release(self.operator, checkout, "--dev")["version"]
        self._say(f"platform engineers release {version} of the template: {change}")
        campaign = self.operator.platform("fleet", "campaign", "start", version, "--waves", "50").document
        ours = wait_until(lambda: self._update_of(campaign["id"]), seconds=120, what="a request for the update")
        pull = self.author.platform("pr", "show", str(ours["number"])).document
        self._say(f"a request is open: #{pull['number']} {pull['title']}, platform check is {ours['checks']}")
        self.author.platform("pr", "merge", str(pull["number"]))
        self.author.git("checkout", "--quiet", "main")
        self.author.git("fetch", "--quiet", "origin")
        self.author.git("reset", "--quiet", "--hard", "origin/main")
        merged = wait_until(lambda: self._update_of(campaign["id"], "merged"), seconds=60, what="it is merged")
        self._say(f"[green]merged[/green]: {merged['name']} is on {version}, with everything its engineers changed")

    def _update_of(self, campaign: str, state: str = "open") -> dict[str, Any] | None:
        found = self.operator.platform("fleet", "campaign", "show", campaign, show=False).document["repositories"]
        one: dict[str, Any] = next((one for one in found if one["name"] == self.model), {"state": "pending"})
        if one["state"] not in {"pending", "open", "merged"}:
            raise DemoError(f"the update of {self.model} ended as {one['state']}: {one['message']}")
        return one if one["state"] == state else None

    def _audit(self) -> None:
        events = self.author.platform("audit", "events", "--subject", f"model:{self.model}", "--limit", "500").document[
            "items"
        ]
        table = Table("time (UTC)", "who", "what", "about", box=None, header_style="bold")
        for (who, what, about), same in groupby((item["event"] for item in events), key=self._audit_line):
            times = [event["time"][11:19] for event in same]
            table.add_row(times[0], who, f"{what} ×{len(times)}" if len(times) > 1 else what, about)
        self.console.print(table)
        verified = self.author.platform("audit", "verify").document
        if not verified["valid"]:
            raise DemoError(f"the audit log does not verify: {verified['faults']}")
        self._say(f"[green]verified[/green]: {verified['events']} events, none edited, removed, reordered or inserted")

    def _audit_line(self, event: dict[str, Any]) -> tuple[str, str, str]:
        about = event["subject"].removeprefix(f"model:{self.model}").removeprefix("/")
        kind, _, identifier = about.partition("/")
        if kind == "deployments":
            about = f"deployment …{identifier[-6:]}"
        who = event["actor"].removeprefix("user:default/").replace("service:ml-platform", "platform")
        return who, event["type"].removeprefix("ml-platform."), about or "the model"

    def _farewell(self) -> None:
        self.console.rule("[bold]Done[/bold]")
        times = Table("stage", "time", box=None, header_style="bold")
        for title, seconds in self.durations:
            times.add_row(title, f"{seconds:6.1f} s")
        self.console.print(times)
        for title, failed, total in self.failed_requests:
            self._say(f"user requests during the {title} rollout: {failed} of {total} failed")
        self.console.print("\nThe platform is up:")
        for name, url in self.urls.items():
            self._say(f"{name:12} {url}")
        self._say(f"{'your model':12} {self._endpoint()}")
        if "portal" in self.urls:
            self.console.print("\nOpen the portal, signed in (the links are as good as passwords, for half a day):")
            for name in (AUTHOR, APPROVER, "operator"):
                options = ("--user", f"user:default/{name}", *self._configured())
                link = self.operator.platform("portal", *options, show=False).document["url"]
                self._say(f"{name:12} {link}")
        activate = Path(sys.executable).parent / "activate"
        self.console.print("\nTry next:")
        for command in (
            f"source {activate}",
            f"cd {self.author.folder}",
            f"platform login --user user:default/{AUTHOR}",
            f"platform status --env {ENVIRONMENT}",
            f"platform logs --env {ENVIRONMENT} -f",
            f'platform rollback --env {ENVIRONMENT} --reason "just trying"',
            "platform audit verify",
            "make down   # in this folder: stop everything; `make clean` also forgets it",
        ):
            self._say(command)

    @contextmanager
    def _chapter(self, title: str) -> Iterator[None]:
        self.console.rule(f"[bold]{title}[/bold]", align="left")
        start = time.monotonic()
        yield
        self.durations.append((title, time.monotonic() - start))

    @contextmanager
    def _users(self, title: str) -> Iterator[list[load.Request]]:
        record = self.home / "demo" / f"{self.model}-{title.replace(' ', '-')}.csv"
        record.unlink(missing_ok=True)
        bodies = self.home / "demo" / f"{self.model}-requests.json"
        bodies.write_text(json.dumps(repository.request_bodies()), encoding="utf-8")
        command = [sys.executable, "-m", "demo.load", "--url", f"{self._endpoint()}/infer", "--rate", str(self.rate)]
        process = subprocess.Popen(
            [*command, "--bodies", str(bodies), "--out", str(record)], cwd=Path(__file__).parents[1]
        )
        traffic = Traffic(process, record)
        seen: list[load.Request] = []
        self._say(f"users send {self.rate:g} requests a second")
        try:
            yield seen
        finally:
            seen += traffic.stop()
            self.failed_requests.append((title, sum(request.failed for request in seen), len(seen)))

    def _until(self, process: "subprocess.Popen[str]", log: Path, condition: Callable[[], Any], *, what: str) -> Any:
        def ended_or_true() -> Any:
            if (value := condition()) or process.poll() is None:
                return value
            raise DemoError(
                f"`platform run` ended with {process.returncode} before there was {what}:\n{log.read_text()}"
            )

        return wait_until(ended_or_true, seconds=600, what=what)

    def _newest(self, phase: str) -> dict[str, Any] | None:
        items = self._get(f"/deployments?model={self.model}&environment={ENVIRONMENT}&phase={phase}&limit=1")["items"]
        return items[0] if items else None

    def _tell_steps(self, deployment: dict[str, Any], seen: int) -> int:
        finished = [step for step in deployment["steps"] if step["finishedAt"]]
        for step in finished[seen:]:
            what = f"{step['kind']} {step['weight']} %" if step["weight"] else step["kind"]
            self._say(f"{what}: {step['state']} — {step['reason']}" if step["reason"] else f"{what}: {step['state']}")
        return len(finished)

    def _failures(self, seen: list[load.Request]) -> str:
        return f"{sum(request.failed for request in seen)} of {len(seen)} user requests failed"

    def _endpoint(self) -> str:
        return f"{self.urls['models'].rstrip('/')}/{ENVIRONMENT}/{self.model}/v2/models/{self.model}"

    def _get(self, path: str) -> dict[str, Any]:
        return self.author.api(path)

    def _person(self, name: str) -> Person:
        someone = person(
            name,
            console=self.console,
            folder=Path.cwd(),
            home=self.home,
            credentials=self.home / "demo" / "people" / name,
            url=self.urls.get("backend", ""),
        )
        self.people.append(someone)
        return someone

    def _say(self, text: str) -> None:
        self.console.print(f"  {text}", soft_wrap=True)


def _reason(document: dict[str, Any], messages: str) -> str:
    return str(document.get("reason") or document.get("message") or messages.splitlines()[-1])
