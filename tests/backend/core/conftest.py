"""A backend beside which the embedded portal runs."""

import pytest

from backend.core.config import Settings


@pytest.fixture
def settings(settings: Settings) -> Settings:
    portal = settings.portal.model_copy(update={"enabled": True})
    return settings.model_copy(update={"portal": portal})
