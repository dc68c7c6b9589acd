"""``python -m recinfer.export`` is the command ``recinfer export``."""

import importlib

# By name, since rooms import nothing from above them; this file is only a door to the command.
importlib.import_module("recinfer.cli.export").main()
