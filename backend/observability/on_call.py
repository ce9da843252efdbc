"""Who is called: what the catalog says of the group that owns a model."""

from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from backend.core.errors import NotFound

if TYPE_CHECKING:
    from backend.core.container import Services

ANNOTATION = "ml-platform/on-call"
"""On a Group: who is on call, as an entity ref or as the address of a rota."""


def on_call(services: "Services", session: Session, owner: str) -> dict[str, Any]:
    """Return the group with who is on call and how it is reached, as far as the catalog says so."""
    found: dict[str, Any] = {"group": owner, "who": None, "email": None, "name": None}
    try:
        document = services.catalog.entity(session, owner).document or {}
    except NotFound:
        return found
    metadata, profile = document.get("metadata", {}), document.get("spec", {}).get("profile", {})
    found["who"] = (metadata.get("annotations") or {}).get(ANNOTATION)
    found["email"], found["name"] = profile.get("email"), profile.get("displayName") or metadata.get("title")
    return found
