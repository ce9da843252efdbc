"""``python -m mlplatform.serving``."""

import sys

from mlplatform.serving.command import main

if __name__ == "__main__":
    sys.exit(main())
