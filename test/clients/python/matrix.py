"""What official Python clients must be able to do: matrix.py PART [PATTERN].
PART is one of the modules with checks (those of Cosmos DB are in a package of
that name: cosmosdb.items), PATTERN a regular expression that chooses among
them."""

import importlib
import sys

from runner import run_all

importlib.import_module(sys.argv[1])
run_all(sys.argv[2] if len(sys.argv) > 2 else None)
