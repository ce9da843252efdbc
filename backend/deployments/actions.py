"""What a caller may do about a model in an environment, as things are there now."""

from sqlalchemy.orm import Session

from backend.access.resources import Action
from backend.core.actions import ActionOut, tried
from backend.core.container import Services
from backend.core.errors import Conflict
from backend.deployments import repository
from backend.deployments.models import Deployment
from backend.deployments.rules import Rules
from backend.identity.principal import Principal


class Actions:
    """Asks the rules; none of them is written down here."""

    def __init__(self, services: Services) -> None:
        self._services, self._rules = services, Rules(services)

    def of(self, session: Session, caller: Principal, environment: str, model: str) -> list[ActionOut]:
        """Return deploy, approve, promote, abort and rollback, each with whether it is allowed and why not.

        Raises:
            NotFound: there is no such environment or model.
        """
        rules, registry = self._rules, self._services.registry
        rules.environment(environment)
        registry.get_model(session, model)

        def running() -> Deployment:
            found = repository.in_progress(session, environment, model)
            if found is None:
                raise Conflict(f"no deployment of {model} in {environment} is under way")
            return found

        return [
            tried(
                "deploy",
                lambda: rules.may_deploy(session, caller, model, "deploy"),
                lambda: registry.get_version(session, model, None),
                lambda: rules.is_free(session, environment, model),
            ),
            tried(
                "approve",
                lambda: rules.may_decide(session, caller, running(), "approval.refused", Action.APPROVE),
                lambda: rules.is_awaited(running()),
            ),
            tried(
                "promote",
                lambda: rules.may_decide(session, caller, running(), "promotion.refused", Action.PROMOTE),
                lambda: rules.can_be_promoted(running()),
            ),
            tried(
                "abort",
                lambda: rules.may_step_in(session, caller, model, environment, "abort"),
                lambda: rules.can_be_aborted(running()),
            ),
            tried(
                "rollback",
                lambda: rules.may_step_in(session, caller, model, environment, "roll back"),
                lambda: (
                    rules.to_abort_first(session, environment, model) or rules.way_back(session, environment, model)
                ),
            ),
        ]
