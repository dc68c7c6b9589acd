"""What ``import recinfer`` gives, and what it does not load."""

from __future__ import annotations

import subprocess
import sys

import pytest

import recinfer

HEAVY = ("torch", "torchrec", "fbgemm_gpu", "pyarrow", "numpy")


def loaded_after(code: str) -> set[str]:
    """The heavy packages that a fresh interpreter holds after some code."""
    text = f"{code}\nimport sys\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-W", "ignore", "-c", text], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded_after("import recinfer; recinfer.__version__") == set()
    assert loaded_after("import recinfer.main; recinfer.main.predict") == set()


def test_an_export_is_loaded_without_torchrec() -> None:
    """Importing fbgemm's Python package and torchrec takes longer than all the rest of a start."""
    code = "import recinfer.predict.export_scorer as e; e.load_operators(); import recinfer.predict.job"
    assert loaded_after(code) == {"torch", "pyarrow", "numpy"}


def test_names() -> None:
    for name in recinfer.__all__:
        assert callable(getattr(recinfer, name))
    assert set(recinfer.__all__) >= {
        "train_and_evaluate",
        "evaluate",
        "export",
        "predict",
        "load_scorer",
        "load_parser",
    }
    assert set(recinfer.__all__) <= set(dir(recinfer))
    with pytest.raises(AttributeError, match="no attribute 'predicts'"):
        _ = recinfer.predicts


def test_rooms_that_share_a_name_with_a_function_are_both() -> None:
    import recinfer.export
    import recinfer.predict
    from recinfer.errors import InputError, ModelError

    assert recinfer.predict.__name__ == "recinfer.predict" and recinfer.predict.__path__
    with pytest.raises(ModelError, match="does not exist"):
        recinfer.predict("/no/such/model", "in", "out")
    with pytest.raises((ModelError, InputError, recinfer.errors.ConfigError)):
        recinfer.export("/no/such/config", "out")
