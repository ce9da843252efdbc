"""``python -m backend.local.portal``: makes the portal ready to run, as the first ``platform up`` does."""

import sys

from backend.local.portal.build import PortalError, prepare

if __name__ == "__main__":
    try:
        prepare(print)
    except PortalError as fault:
        sys.exit(f"error: {fault.message}\n  fix: {fault.fix}")
