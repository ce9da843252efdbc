"""The commands, by section: where each one's code is, and what it does in one line.

This module is all that ``platform --help`` imports, so it imports nothing itself.
"""

PROGRAM = "platform"
SUMMARY = "Ship machine-learning models: from an empty folder to production traffic."
EPILOG = "Run 'platform COMMAND --help' for options and examples."


class Entry:
    """One command: ``module:attribute`` of its click command, and its help line."""

    __slots__ = ("help", "target")

    def __init__(self, target: str, help: str) -> None:
        self.target = f"mlplatform.cli.commands.{target}"
        self.help = help


SECTIONS: dict[str, dict[str, Entry]] = {
    "Model repository": {
        "new": Entry("new:new", "Make a model repository from the golden-path template."),
        "adopt": Entry("adopt:adopt", "Put an existing repository on the golden path."),
        "pr": Entry("pull_requests:pr", "Pull requests of the platform's own git host."),
        "check": Entry("check:check", "Check model.yaml and what it refers to."),
        "generate": Entry("generate:generate", "Write what is derived from model.yaml."),
        "train": Entry("stages:train", "Train the model."),
        "validate": Entry("stages:validate", "Judge the trained model: schema and thresholds."),
        "scan": Entry("stages:scan", "Scan for personal data and known vulnerabilities."),
        "register": Entry("register:register", "Sign the results and register a new version."),
        "run": Entry("run:run", "Run all stages in order, as CI does."),
        "dev": Entry("dev:dev", "Run a trained streaming model here, on sample messages."),
        "schema": Entry("schema:schema", "Print the JSON Schema of model.yaml."),
    },
    "Deployments": {
        "deploy": Entry("deploy:deploy", "Deploy a version to an environment."),
        "status": Entry("status:status", "Show what is live, and the rollout under way."),
        "slo": Entry("slo:slo", "Show error budgets, and how fast they burn."),
        "traffic": Entry("traffic:traffic", "Show rate, errors and latency over time."),
        "logs": Entry("logs:logs", "Show or follow the logs of a model's replicas."),
        "rollback": Entry("rollback:rollback", "Put the former version back, at once."),
        "approve": Entry("decide:approve", "Approve or reject a deployment that waits."),
        "abort": Entry("decide:abort", "Stop a rollout and put traffic back."),
        "promote": Entry("decide:promote", "Skip the remaining analysis of a rollout."),
        "experiment": Entry("experiment.group:experiment", "Try a challenger beside what is live."),
        "batch": Entry("batch.group:batch", "Score days of data: runs, backfills."),
    },
    "Data": {
        "data": Entry("data.group:data", "Find personal data, remove it, classify data sets."),
    },
    "Platform": {
        "up": Entry("up:up", "Start the platform on this machine."),
        "down": Entry("up:down", "Stop the platform on this machine."),
        "portal": Entry("portal:portal", "Print a link that signs a browser in to the portal."),
        "templates": Entry("templates:templates", "List, release, compare and import templates."),
        "fleet": Entry("fleet.group:fleet", "See template versions, and update all repositories."),
        "scaffold": Entry("scaffold:scaffold", "Show or cancel repositories being made."),
        "login": Entry("login:login", "Sign in."),
        "whoami": Entry("login:whoami", "Show who you are to the platform."),
        "access": Entry("access.group:access", "See who may do what; ask for access; review it."),
        "audit": Entry("audit:audit", "Read, verify and seal the audit log."),
        "compliance": Entry("compliance.group:compliance", "See controls, and have findings waived."),
        "incidents": Entry("incidents.group:incidents", "See and handle incidents."),
        "dashboards": Entry("dashboards.group:dashboards", "Have dashboards as code."),
        "drift": Entry("drift.group:drift", "Hold what is live against its training data."),
        "retention": Entry("privacy.group:retention", "See, delete and hold what is kept."),
        "privacy": Entry("privacy.group:privacy", "Find and erase a person."),
        "keys": Entry("privacy.group:keys", "See and rotate encryption keys."),
        "evidence": Entry("evidence_group:evidence", "Export evidence for auditors, and verify it offline."),
        "cost": Entry("cost.group:cost", "Show what teams, models and versions cost."),
        "support": Entry("support.group:support", "Ask the platform team; answer its survey."),
        "metrics": Entry("metrics:metrics", "Show the figures that the platform is held to."),
        "completion": Entry("completion:completion", "Print the completion script of a shell."),
    },
}

GROUPS: dict[str, dict[str, Entry]] = {
    "access": {
        "check": Entry("access.grants:check", "Say whether you may, and by which rule."),
        "request": Entry("access.grants:request", "Ask for access for a time."),
        "grants": Entry("access.grants:grants", "List grants and requests."),
        "approve": Entry("access.grants:approve", "Grant what was asked for."),
        "deny": Entry("access.grants:deny", "Turn a request down."),
        "revoke": Entry("access.grants:revoke", "End a grant before its time."),
        "break-glass": Entry("access.grants:break_glass", "Take access in an emergency."),
        "look-at": Entry("access.grants:look_at", "Look at a use of break-glass."),
        "review": Entry("access.group:review", "Confirm or revoke the permissions that there are."),
        "policies": Entry("access.policies:policies", "Show the policies that decide."),
        "test": Entry("access.policies:test", "Put test cases to the policies."),
        "duties": Entry("access.policies:duties", "Show who did alone what takes two."),
    },
    "access review": {
        "open": Entry("access.reviews:open_review", "Open a review."),
        "list": Entry("access.reviews:list_reviews", "List reviews, or what waits for you."),
        "show": Entry("access.reviews:show", "Show a review and its permissions."),
        "confirm": Entry("access.reviews:confirm", "Say that a permission is still needed."),
        "revoke": Entry("access.reviews:revoke", "Take a permission away."),
        "close": Entry("access.reviews:close", "Close a review before it is due."),
    },
    "batch": {
        "run": Entry("batch.runs:run", "Score a day on the platform."),
        "backfill": Entry("batch.backfills:backfill", "Score a range of days on the platform."),
        "runs": Entry("batch.runs:runs", "Show the runs of a model, or one of them."),
        "cancel": Entry("batch.runs:cancel", "End a run or a backfill."),
        "score": Entry("batch.score:score", "Score a day here, with the model in build/."),
    },
    "compliance": {
        "status": Entry("compliance.status:status", "Show how the controls stand."),
        "evaluate": Entry("compliance.status:evaluate", "Have every check run now."),
        "document": Entry("compliance.document:document", "Write a model card or a technical file."),
        "waivers": Entry("compliance.waivers:waivers", "List waivers, newest first."),
        "waive": Entry("compliance.waivers:waive", "Ask that a finding may pass for a time."),
        "decide": Entry("compliance.waivers:decide", "Approve or reject a waiver."),
        "revoke": Entry("compliance.waivers:revoke", "End a waiver before its time."),
    },
    "cost": {
        "budget": Entry("cost.limits:budget", "Show budgets, or set one."),
        "quota": Entry("cost.limits:quota", "Show what is taken up of quotas."),
        "report": Entry("cost.report:report", "Write a team's monthly report."),
    },
    "data": {
        "classify": Entry("data.classify:classify", "Propose the classification of the model's data sets."),
        "list": Entry("data.datasets:list_datasets", "List data sets and their classification."),
        "show": Entry("data.datasets:show", "Show a data set and its columns."),
        "confirm": Entry("data.datasets:confirm", "Confirm the classification of columns."),
        "scan": Entry("data.scan:scan", "Look for personal data in files, stores and databases."),
        "deidentify": Entry("data.deidentify:deidentify", "Write a copy without personal data."),
        "forget": Entry("data.forget:forget", "Have a vault forget a person, on record."),
        "reveal": Entry("data.reveal:reveal", "Show what tokens stand for, on record."),
    },
    "evidence": {
        "export": Entry("evidence:export", "Export what is on record about a period."),
        "verify": Entry("evidence:verify", "Verify an evidence pack, offline."),
    },
    "experiment": {
        "start": Entry("experiment.group:start", "Begin a shadow run or an A/B experiment."),
        "list": Entry("experiment.handle:list_experiments", "List experiments, newest first."),
        "show": Entry("experiment.handle:show", "Show an experiment and its figures."),
        "approve": Entry("experiment.handle:approve", "Approve or reject one that waits."),
        "stop": Entry("experiment.handle:stop", "End an experiment."),
        "outcomes": Entry("experiment.handle:outcomes", "Report what came of predictions."),
        "decide": Entry("experiment.handle:decide", "Put on record what follows from it."),
    },
    "experiment start": {
        "shadow": Entry("experiment.begin:shadow", "Compare its answers to copies of requests."),
        "ab": Entry("experiment.begin:ab", "Give it the requests of some keys."),
    },
    "fleet": {
        "status": Entry("fleet.status:status", "Show every repository and how far behind it is."),
        "campaign": Entry("fleet.group:campaign", "Bring repositories to a template version."),
    },
    "fleet campaign": {
        "start": Entry("fleet.campaign:start", "Start a campaign."),
        "list": Entry("fleet.campaign:list_campaigns", "List campaigns, newest first."),
        "show": Entry("fleet.campaign:show", "Show or follow a campaign."),
        "pause": Entry("fleet.campaign:pause", "Open no more requests for now."),
        "resume": Entry("fleet.campaign:resume", "Go on with a paused campaign."),
        "advance": Entry("fleet.campaign:advance", "Let the next wave begin."),
        "retry": Entry("fleet.campaign:retry", "Try again what failed."),
        "abort": Entry("fleet.campaign:abort", "End a campaign and close its requests."),
    },
    "dashboards": {
        "generate": Entry("dashboards.generate:generate", "Write dashboards into a folder."),
    },
    "drift": {
        "run": Entry("drift.reports:run", "Judge what came since the last report."),
        "list": Entry("drift.reports:list_reports", "List reports, newest first."),
        "show": Entry("drift.reports:show", "Show a report, or write it as a page."),
        "labels": Entry("drift.labels:labels", "Send the truth of predictions."),
    },
    "incidents": {
        "list": Entry("incidents.handle:list_incidents", "List incidents, newest first."),
        "show": Entry("incidents.handle:show", "Show an incident and its timeline."),
        "ack": Entry("incidents.handle:ack", "Take an incident in hand."),
        "resolve": Entry("incidents.handle:resolve", "Say what it was, and that it is over."),
        "postmortem": Entry("incidents.handle:postmortem", "Write its postmortem."),
    },
    "keys": {
        "list": Entry("privacy.keys:list_keys", "Show the data keys."),
        "rotate": Entry("privacy.keys:rotate", "Encrypt everything anew."),
    },
    "pr": {
        "list": Entry("pull_requests:list_pulls", "List pull requests, newest first."),
        "show": Entry("pull_requests:show", "Show a pull request."),
        "create": Entry("pull_requests:create", "Open one from the present branch."),
        "merge": Entry("pull_requests:merge", "Merge a pull request."),
        "close": Entry("pull_requests:close", "Close a pull request without merging it."),
        "ready": Entry("pull_requests:ready", "Mark a draft as ready to be merged."),
    },
    "privacy": {
        "find": Entry("privacy.subjects:find", "Find a person in what the platform holds."),
        "requests": Entry("privacy.subjects:requests", "Show data-subject requests."),
        "show": Entry("privacy.subjects:show", "Show a request and where the person was found."),
        "erase": Entry("privacy.subjects:erase", "Ask for the person to be erased."),
        "confirm": Entry("privacy.subjects:confirm", "Confirm what somebody else asked for."),
    },
    "retention": {
        "show": Entry("privacy.retention:show", "Show how long things are kept."),
        "run": Entry("privacy.retention:run", "Delete what is over, or list it."),
        "hold": Entry("privacy.retention:hold", "Place a legal hold."),
        "holds": Entry("privacy.retention:holds", "Show legal holds."),
        "release": Entry("privacy.retention:release", "Lift a legal hold."),
        "certificates": Entry("privacy.retention:certificates", "Show deletion certificates."),
    },
    "scaffold": {
        "list": Entry("scaffold:list_scaffolds", "List repositories that were made or are being made."),
        "show": Entry("scaffold:show", "Show how a repository came about."),
        "cancel": Entry("scaffold:cancel", "Stop making a repository, and take back what was made."),
    },
    "support": {
        "ask": Entry("support.requests:ask", "Ask the platform team."),
        "list": Entry("support.requests:list_requests", "List what was asked."),
        "show": Entry("support.requests:show", "Show a request and what was said."),
        "answer": Entry("support.requests:answer", "Answer a request."),
        "note": Entry("support.requests:note", "Add something to a request."),
        "resolve": Entry("support.requests:resolve", "Say that a request is settled."),
        "survey": Entry("support.survey:survey", "Answer the quarterly survey, or see it."),
    },
    "templates": {
        "list": Entry("templates:list_templates", "List the templates and their versions."),
        "release": Entry("templates:release", "Release the golden path as it is in this checkout."),
        "changelog": Entry("templates:changelog", "Show what versions change for a model repository."),
        "import": Entry("templates_import:import_", "Convert a Cookiecutter template."),
    },
}
"""Commands that have commands of their own."""

COMMANDS: dict[str, Entry] = {name: entry for section in SECTIONS.values() for name, entry in section.items()}

OPTIONS: tuple[tuple[str, str], ...] = (
    ("--version", "Show the version and exit."),
    ("-h, --help", "Show this message and exit."),
)
