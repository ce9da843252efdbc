"""``python -m mlplatform.batch``."""

import sys

from mlplatform.batch.command import main

if __name__ == "__main__":
    sys.exit(main())
