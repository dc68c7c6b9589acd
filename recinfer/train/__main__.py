"""``python -m recinfer.train`` is the command ``recinfer train``."""

import importlib

# By name, since rooms import nothing from above them; this file is only a door to the command.
importlib.import_module("recinfer.cli.train").main()
