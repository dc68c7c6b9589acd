"""recinfer: batch inference for recommender models.

Everything here is also a command; see ``recinfer --help``. Importing the package loads nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recinfer.main import (
        compare,
        evaluate,
        export,
        import_checkpoint,
        inspect,
        load_parser,
        load_scorer,
        predict,
        sign,
        train_and_evaluate,
        validate,
        verify,
    )

__version__ = "0.1.0"

__all__ = [
    "compare",
    "evaluate",
    "export",
    "import_checkpoint",
    "inspect",
    "load_parser",
    "load_scorer",
    "predict",
    "sign",
    "train_and_evaluate",
    "validate",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # `recinfer.predict` and `recinfer.export` are also packages; the functions of these names live in `recinfer.main`.
    import recinfer.main

    return getattr(recinfer.main, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
