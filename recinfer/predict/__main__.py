"""``python -m recinfer.predict`` is the command ``recinfer predict``."""

import importlib

# By name, since rooms import nothing from above them; this file is only a door to the command.
importlib.import_module("recinfer.cli.predict").main()
