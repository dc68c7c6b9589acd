"""Chooses the fastest kind of export by measuring them side by side."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from recinfer.errors import ModelError
from recinfer.export.comparison import Speed, speeds
from recinfer.predict.scorer import Scorer

Candidate = tuple[Callable[[Path], None], Callable[[Path], Scorer]]
"""Writes a folder, and opens it."""

# What runs everywhere comes first; another kind must beat it by this factor, since less is noise on a shared machine.
PORTABLE = "torchscript"
MARGIN = 1.05
ROUNDS = 5


@dataclass(frozen=True)
class Choice:
    """Why a kind was chosen.

    Attributes:
        kind: the chosen one.
        speeds: rows a second on one thread, by kind.
        failed: kinds that this model cannot have, and why.
    """

    kind: str
    speeds: Mapping[str, Speed]
    failed: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """As ``recinfer.json`` holds it."""
        return asdict(self)


def write_fastest(candidates: Mapping[str, Candidate], rows: pa.RecordBatch, work: Path) -> tuple[Choice, Scorer]:
    """Writes all candidates, scores rows with each, and leaves the files of the fastest in the folder; it stays open.

    Args:
        candidates: by kind; with the portable one.
        rows: to measure on.
        work: where files that each candidate needs lie already.
    """
    scorers: dict[str, Scorer] = {}
    failed: dict[str, str] = {}
    folders = {kind: work / f".{kind}" for kind in candidates}
    shared = list(work.iterdir())
    for kind, (write, opened) in candidates.items():
        folders[kind].mkdir()
        for path in shared:
            (folders[kind] / path.name).symlink_to(path.resolve())
        try:
            write(folders[kind])
            scorers[kind] = opened(folders[kind])
        except ModelError as error:
            if kind == PORTABLE:
                raise
            failed[kind] = error.message
    found = dict(zip(scorers, speeds(list(scorers.values()), rows, ROUNDS), strict=True))
    best = max(found, key=lambda kind: found[kind].median)
    chosen = best if found[best].median > MARGIN * found[PORTABLE].median else PORTABLE
    for path in folders[chosen].iterdir():
        if not path.is_symlink():
            path.rename(work / path.name)
    for folder in folders.values():
        shutil.rmtree(folder)
    return Choice(chosen, found, failed), scorers[chosen]
