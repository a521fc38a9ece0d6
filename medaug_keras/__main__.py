"""`python -m medaug_keras`."""

import sys

from medaug_keras.cli import main

if __name__ == "__main__":
    sys.exit(main())
