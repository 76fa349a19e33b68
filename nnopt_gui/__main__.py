"""`python -m nnopt_gui`: the same as the command `nnopt-gui`."""

from __future__ import annotations

import sys

from nnopt_gui.app import main

if __name__ == "__main__":
    sys.exit(main())
