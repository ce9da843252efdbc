"""``python -m mlplatform.streaming``."""

import sys

from mlplatform.streaming.command import main

if __name__ == "__main__":
    sys.exit(main())
