"""What the official Python client must be able to do: matrix.py PART [PATTERN].
PART is one of the files with checks, PATTERN a regular expression that chooses
among them."""

import importlib
import sys

from checks import run_all

importlib.import_module(sys.argv[1])
run_all(sys.argv[2] if len(sys.argv) > 2 else None)
