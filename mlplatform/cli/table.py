"""The commands, by section: where each one's code is, what it does in one line, and whose environment it needs.

This module is all that ``platform --help`` imports, so it imports nothing itself.
"""

PROGRAM = "platform"
SUMMARY = "Ship machine-learning models: from an empty folder to production traffic."
EPILOG = "Run 'platform COMMAND --help' for options and examples."


class Entry:
    """One command: ``module:attribute`` of its click command, its help line, whether it runs the model's own code."""

    __slots__ = ("help", "needs_repository_environment", "target")

    def __init__(self, target: str, help: str, needs_repository_environment: bool = False) -> None:
        self.target = f"mlplatform.cli.commands.{target}"
        self.help = help
        self.needs_repository_environment = needs_repository_environment


SECTIONS: dict[str, dict[str, Entry]] = {
    "Model repository": {
        "new": Entry("new:new", "Make a model repository from the golden-path template."),
        "adopt": Entry("adopt:adopt", "Put an existing repository on the golden path."),
        "check": Entry("check:check", "Check model.yaml and what it refers to."),
        "train": Entry("stages:train", "Train the model.", True),
        "validate": Entry("stages:validate", "Judge the trained model: schema and thresholds.", True),
        "scan": Entry("stages:scan", "Scan for personal data and known vulnerabilities.", True),
        "register": Entry("register:register", "Sign the results and register a new version.", True),
        "run": Entry("run:run", "Run all stages in order, as CI does.", True),
        "schema": Entry("schema:schema", "Print the JSON Schema of model.yaml."),
    },
    "Deployments": {
        "deploy": Entry("deploy:deploy", "Deploy a version to an environment."),
        "status": Entry("status:status", "Show what is live, and the rollout under way."),
        "logs": Entry("logs:logs", "Show or follow the logs of a model's replicas."),
        "rollback": Entry("rollback:rollback", "Put the former version back, at once."),
        "approve": Entry("decide:approve", "Approve or reject a deployment that waits."),
        "abort": Entry("decide:abort", "Stop a rollout and put traffic back."),
        "promote": Entry("decide:promote", "Skip the remaining analysis of a rollout."),
    },
    "Platform": {
        "up": Entry("up:up", "Start the platform on this machine."),
        "down": Entry("up:down", "Stop the platform on this machine."),
        "login": Entry("login:login", "Sign in."),
        "whoami": Entry("login:whoami", "Show who you are to the platform."),
        "audit": Entry("audit:audit", "Read and verify the audit log."),
        "templates": Entry("templates:templates", "Import templates of other kinds."),
        "completion": Entry("completion:completion", "Print the completion script of a shell."),
    },
}

COMMANDS: dict[str, Entry] = {name: entry for section in SECTIONS.values() for name, entry in section.items()}

OPTIONS: tuple[tuple[str, str], ...] = (
    ("--version", "Show the version and exit."),
    ("-h, --help", "Show this message and exit."),
)
