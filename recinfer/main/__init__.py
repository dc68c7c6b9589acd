"""The orchestrator: what a user asks for, composed from the rooms below.

Each function does what the command of its name does, returns what happened, and prints nothing. Rooms are imported
inside the functions, so that asking for help, or for one of them, does not pay for all.
"""

from recinfer.main.comparing import compare
from recinfer.main.config import load_config, load_parser, validate
from recinfer.main.evaluation import evaluate
from recinfer.main.exporting import export
from recinfer.main.importing import import_checkpoint
from recinfer.main.inspecting import inspect
from recinfer.main.prediction import predict, prepare_prediction, verify
from recinfer.main.scorer import load_scorer
from recinfer.main.signing import sign
from recinfer.main.training import train_and_evaluate

__all__ = [
    "compare",
    "evaluate",
    "export",
    "import_checkpoint",
    "inspect",
    "load_config",
    "load_parser",
    "load_scorer",
    "predict",
    "prepare_prediction",
    "sign",
    "train_and_evaluate",
    "validate",
    "verify",
]
