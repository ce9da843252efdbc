"""The checks that controls rest on, by the ids that frameworks name them by."""

from backend.compliance.checks.base import Check, Deviation, Result
from backend.compliance.checks.deployments import DEPLOYMENT_CHECKS
from backend.compliance.checks.platform import PLATFORM_CHECKS
from backend.compliance.checks.record import RECORD_CHECKS
from backend.compliance.checks.versions import VERSION_CHECKS

CHECKS: dict[str, Check] = {
    check.id: check for check in (*VERSION_CHECKS, *DEPLOYMENT_CHECKS, *PLATFORM_CHECKS, *RECORD_CHECKS)
}

__all__ = ["CHECKS", "Check", "Deviation", "Result"]
