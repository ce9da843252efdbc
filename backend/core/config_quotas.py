"""Settings of quotas: what a team may take up in an environment."""

from decimal import Decimal
from typing import Annotated, Self

from pydantic import Field, model_validator

from backend.core.config_base import SettingsModel
from mlplatform.spec.model import EntityRef
from mlplatform.spec.quantities import Cpu, Memory, cpu_cores, memory_bytes

RESOURCES = ("cpu", "memory", "gpu", "replicas", "models")
Count = Annotated[int, Field(ge=0, le=1_000_000)]


class QuotaSettings(SettingsModel):
    """What the live versions of a team's models may ask for together in an environment. Of two that hold, that of the team
    counts before that of the environment, and that before a general one; each resource by itself.
    """

    team: EntityRef | None = Field(default=None, description="The owner group; each team by itself if null.")
    environment: str | None = Field(default=None, description="Where; in each environment by itself if null.")
    cpu: Cpu | None = Field(default=None, description="CPU cores of all replicas.")
    memory: Memory | None = Field(default=None, description="Memory of all replicas.")
    gpu: Count | None = Field(
        default=None, description="GPUs that replicas have to themselves; time slices are not counted."
    )
    replicas: Count | None = Field(default=None, description="Replicas, at their most where they follow the load.")
    models: Count | None = Field(default=None, description="Models that are live.")

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if all(getattr(self, name) is None for name in RESOURCES):
            raise ValueError(f"give at least one of {', '.join(RESOURCES)}")
        return self

    def limit(self, resource: str) -> Decimal | None:
        """Return the limit of a resource, in cores, GiB or pieces; ``None`` where it sets none."""
        if resource == "cpu":
            return None if self.cpu is None else Decimal(str(cpu_cores(self.cpu)))
        if resource == "memory":
            return None if self.memory is None else Decimal(memory_bytes(self.memory)) / 2**30
        value: int | None = getattr(self, resource)
        return None if value is None else Decimal(value)
