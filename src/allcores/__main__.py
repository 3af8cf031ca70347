"""``python -m allcores`` is the command ``allcores``."""

import sys

from allcores.cli import main

if __name__ == "__main__":
    sys.exit(main())
