"""Fixtures that several rooms share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# A slow machine is no failure, and a suite that finds different things each time cannot be trusted.
settings.register_profile("recinfer", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("recinfer")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Where a run asks for tests that need a GPU, and there is none."""
    if item.get_closest_marker("gpu") is not None:
        import torch

        if not torch.cuda.is_available():
            pytest.skip("torch finds no NVIDIA GPU")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of goldens, exports and checkpoints of the reference, which lies beside the repository."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here: the reference's goldens lie beside the repository, not in it")
    return folder


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """``exported(model)``: an FP32 export of a model of :mod:`tests.synthetic`, made once. Not to be changed."""
    # Here, so that tests without models do not wait for torch.
    from tests.synthetic import write_export_of

    made: dict[str, Path] = {}

    def export(model: str) -> Path:
        if model not in made:
            made[model] = write_export_of(model, tmp_path_factory.mktemp("exports") / model)
        return made[model]

    return export
