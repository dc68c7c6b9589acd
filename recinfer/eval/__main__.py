"""``python -m recinfer.eval`` is the command ``recinfer eval``."""

import importlib

# By name, since rooms import nothing from above them; this file is only a door to the command.
importlib.import_module("recinfer.cli.evaluate").main()
