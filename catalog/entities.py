"""The entities the platform reads, with Backstage's rules for their names.

The rules are those of ``@backstage/catalog-model``
(https://backstage.io/docs/features/software-catalog/descriptor-format). What the platform has no use for is kept as it is.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from catalog.refs import DEFAULT_NAMESPACE, full_ref, make_ref

KINDS = ("Component", "Resource", "API", "Group", "User", "System", "Template")
_OBJECT_NAME = re.compile(r"^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$")
_DNS_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
_TAG = re.compile(r"^[a-z0-9:+#]+(-[a-z0-9:+#]+)*$")
_LONGEST = 63
_LONGEST_PREFIX = 253


def _object_name(value: str) -> str:
    if len(value) > _LONGEST or not _OBJECT_NAME.match(value):
        raise ValueError("at most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends")
    return value


def _namespace(value: str) -> str:
    if len(value) > _LONGEST or not _DNS_LABEL.match(value):
        raise ValueError("at most 63 lower-case letters, digits and `-`, with a letter or digit at both ends")
    return value


def _key(value: str) -> str:
    prefix, slash, name = value.rpartition("/")
    labels = prefix.split(".") if slash else []
    if len(prefix) > _LONGEST_PREFIX or any(not _DNS_LABEL.match(label) for label in labels):
        raise ValueError(f"`{value[:80]}`: what stands before the slash must be a DNS name")
    try:
        _object_name(name)
    except ValueError as fault:
        raise ValueError(f"`{value[:80]}`: {fault}") from None
    return value


def _tag(value: str) -> str:
    if len(value) > _LONGEST or not _TAG.match(value):
        raise ValueError("at most 63 lower-case letters, digits, `:`, `+` and `#`, and hyphens between them")
    return value


def _label(value: str) -> str:
    return value if value == "" else _object_name(value)


ObjectName = Annotated[str, AfterValidator(_object_name)]
Namespace = Annotated[str, AfterValidator(_namespace)]
Key = Annotated[str, AfterValidator(_key)]
Text = Annotated[str, Field(min_length=1, max_length=5_000)]


class _Loose(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True, str_max_length=200_000)


class Metadata(_Loose):
    """What every entity says about itself."""

    name: ObjectName
    namespace: Namespace = DEFAULT_NAMESPACE
    title: Text | None = None
    description: str | None = None
    labels: dict[Key, Annotated[str, AfterValidator(_label)]] = Field(default_factory=dict)
    annotations: dict[Key, str] = Field(default_factory=dict)
    tags: list[Annotated[str, AfterValidator(_tag)]] = Field(default_factory=list)


class _Entity(_Loose):
    apiVersion: Literal["backstage.io/v1alpha1", "backstage.io/v1beta1"]
    metadata: Metadata

    @property
    def ref(self) -> str:
        """The entity's canonical reference."""
        return make_ref(str(self.kind), self.metadata.namespace, self.metadata.name)  # type: ignore[attr-defined]

    def related(self, text: str | None, kind: str) -> str | None:
        """Return a reference of the entity's spec in its canonical form."""
        return None if text is None else full_ref(text, kind=kind, namespace=self.metadata.namespace)


def _is_ref(value: str) -> str:
    full_ref(value, kind="any")
    return value


Ref = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_is_ref)]


class ComponentSpec(_Loose):
    """What a component is, and what it belongs to."""

    type: Text
    lifecycle: Text
    owner: Ref
    system: Ref | None = None
    providesApis: list[Ref] = Field(default_factory=list)
    dependsOn: list[Ref] = Field(default_factory=list)


class ResourceSpec(_Loose):
    """What a resource is: ``ai-model``, ``dataset``, …"""

    type: Text
    owner: Ref
    system: Ref | None = None
    dependsOn: list[Ref] = Field(default_factory=list)
    dependencyOf: list[Ref] = Field(default_factory=list)


class ApiSpec(_Loose):
    """An interface."""

    type: Text
    lifecycle: Text
    owner: Ref
    system: Ref | None = None
    definition: Any = None

    @field_validator("definition")
    @classmethod
    def _is_there(cls, value: Any) -> Any:
        if not isinstance(value, str | dict) or not value:
            raise ValueError("must be a text, or an object that includes a file")
        return value


class GroupSpec(_Loose):
    """A group of people."""

    type: Text
    children: list[Ref] = Field(default_factory=list)
    parent: Ref | None = None
    members: list[Ref] = Field(default_factory=list)


class UserSpec(_Loose):
    """A person."""

    memberOf: list[Ref] = Field(default_factory=list)


class SystemSpec(_Loose):
    """What components and resources are parts of."""

    owner: Ref
    domain: Ref | None = None


class TemplateSpec(_Loose):
    """What is made, by whose template, and how; its form is the scaffolder's business."""

    type: Text
    owner: Ref
    parameters: list[dict[str, Any]] = Field(default_factory=list)
    steps: list[dict[str, Any]]


class Component(_Entity):
    """A piece of software, such as a model server."""

    kind: Literal["Component"]
    spec: ComponentSpec


class Resource(_Entity):
    """Something that a component uses, such as a model or a dataset."""

    kind: Literal["Resource"]
    spec: ResourceSpec


class Api(_Entity):
    """An interface that a component provides."""

    kind: Literal["API"]
    spec: ApiSpec


class Group(_Entity):
    """A group of people."""

    kind: Literal["Group"]
    spec: GroupSpec


class User(_Entity):
    """A person."""

    kind: Literal["User"]
    spec: UserSpec


class System(_Entity):
    """What components and resources are parts of."""

    kind: Literal["System"]
    spec: SystemSpec


class Template(_Entity):
    """A form that makes something (https://backstage.io/docs/features/software-templates/)."""

    apiVersion: Literal["scaffolder.backstage.io/v1beta3"]  # type: ignore[assignment]
    kind: Literal["Template"]
    spec: TemplateSpec


AnyEntity = Component | Resource | Api | Group | User | System | Template
Entity = Annotated[AnyEntity, Field(discriminator="kind")]


def owner_of(entity: AnyEntity) -> str | None:
    """Return the canonical reference of an entity's owner."""
    owner = getattr(entity.spec, "owner", None)
    return entity.related(owner, "group")


def system_of(entity: AnyEntity) -> str | None:
    """Return the canonical reference of the system that an entity is part of."""
    return entity.related(getattr(entity.spec, "system", None), "system")
