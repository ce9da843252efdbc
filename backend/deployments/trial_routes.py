"""HTTP routes for trying a live version by hand."""

from fastapi import APIRouter

from backend.core.container import ServicesOf
from backend.core.http.problems import problems
from backend.deployments import trial
from backend.deployments.routes import EnvironmentName, ModelName
from backend.deployments.schemas import EnvironmentOut, EnvironmentsOut, ExampleOut, TrialIn, TrialOut
from backend.identity.auth import Caller

router = APIRouter(tags=["deployments"])


@router.get("/environments", summary="Environments", responses=problems(401))
def environments(services: ServicesOf, caller: Caller) -> EnvironmentsOut:
    """Return the environments that versions can be deployed to, in the order in which they are configured."""
    return EnvironmentsOut(
        items=[
            EnvironmentOut(name=name, approval_required=one.approval.required)
            for name, one in services.settings.environments.items()
        ]
    )


@router.get(
    "/environments/{environment}/models/{model}/example",
    summary="An example request",
    responses=problems(401, 404, 409, 422),
)
def example(services: ServicesOf, caller: Caller, environment: EnvironmentName, model: ModelName) -> ExampleOut:
    """Return a request that the live version takes, made from its schema, and the columns of that."""
    with services.database.read() as session:
        request, columns = trial.example(services, session, environment, model)
    return ExampleOut(request=request, columns=[column.model_dump(mode="json") for column in columns])


@router.post(
    "/environments/{environment}/models/{model}/trial",
    summary="Try a request",
    responses=problems(401, 404, 409, 422, 503),
)
def send(
    services: ServicesOf, caller: Caller, environment: EnvironmentName, model: ModelName, body: TrialIn
) -> TrialOut:
    """Send a request to the model as its users do, and return what it answered, whatever that is. It counts as any other."""
    with services.database.read() as session:
        trial.live_version(services, session, environment, model)
    return TrialOut.model_validate(trial.send(services, environment, model, body.request))
