"""``serving`` of ``model.yaml``: what a version needs to run, and where its manifests are made for."""

from datetime import timedelta
from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, model_validator

from mlplatform.spec.base import SpecModel
from mlplatform.spec.quantities import Cpu, Duration, Memory


class ServingTarget(StrEnum):
    """What runs the model where the platform's own embedded target does not."""

    KUBERNETES = "kubernetes"
    KSERVE = "kserve"
    SELDON = "seldon"
    BENTOML = "bentoml"
    SAGEMAKER = "sagemaker"


class Autoscaling(SpecModel):
    """How the number of replicas follows the load, on a serving target that can do that."""

    by: Literal["cpu", "requests", "lag"] = Field(
        description="What the load is measured by. `cpu` needs nothing but Kubernetes (HPA), the others need KEDA."
    )
    target: int = Field(
        ge=1,
        le=1_000_000,
        description="Load that a replica should have: percent of its CPU, requests at the same time, or unread messages.",
    )
    min_replicas: int = Field(default=1, ge=0, le=100, description="Fewest replicas; 0 scales to zero.")
    max_replicas: int = Field(ge=1, le=100, description="Most replicas.")

    @model_validator(mode="after")
    def _range_is_not_empty(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise ValueError(f"minReplicas {self.min_replicas} is above maxReplicas {self.max_replicas}")
        if self.by == "cpu" and self.min_replicas == 0:
            raise ValueError(
                "minReplicas 0 is not possible by cpu: what is not there uses none; scale by requests or lag"
            )
        return self


class Gpu(SpecModel):
    """The accelerator of one replica."""

    shared: bool = Field(default=True, description="A time slice of a GPU rather than one of its own.")


class Resources(SpecModel):
    """What one replica of the model server gets."""

    cpu: Cpu = Field(default="1", description="CPU cores.")
    memory: Memory = Field(default="1Gi", description="Memory.")


class Samples(SpecModel):
    """Requests or messages, and their answers, that are kept redacted and encrypted for `retention.payloadSamples`."""

    rate: float = Field(gt=0, le=1, description="Share of predictions, such as 0.01 for one in a hundred.")


class Serving(SpecModel):
    """How the model is served."""

    target: ServingTarget = Field(
        default=ServingTarget.KUBERNETES, description="What `platform generate` writes manifests for."
    )
    resources: Resources = Field(default_factory=Resources, description="Resources of one replica.")
    replicas: int = Field(default=1, ge=1, le=20, description="Model server processes (or pods) per version.")
    autoscaling: Autoscaling | None = Field(
        default=None, description="How the number of replicas follows the load; `replicas` of them if null."
    )
    spot: bool = Field(default=False, description="Whether replicas may run on machines that can be taken away.")
    gpu: Gpu | None = Field(default=None, description="The accelerator of one replica; none if null.")
    max_batch_size: int = Field(default=64, ge=1, le=4096, description="Most rows in one call of the model.")
    max_request_bytes: int = Field(
        default=1_048_576, ge=1024, le=104_857_600, description="Larger request bodies are refused with 413."
    )
    request_timeout: Duration = Field(
        default=timedelta(seconds=10), description="A prediction that takes longer fails with 504."
    )
    drain_timeout: Duration = Field(
        default=timedelta(seconds=20), description="Time that running requests get when a replica stops."
    )
    startup_timeout: Duration = Field(
        default=timedelta(minutes=2), description="A replica that is not ready after this has failed."
    )
    samples: Samples | None = Field(
        default=None,
        description="Which share of the requests or messages is sampled; none if null. Type batch needs none.",
    )
