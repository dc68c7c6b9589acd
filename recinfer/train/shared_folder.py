"""Whether all ranks write to the same folder, found out before anything is trained."""

from __future__ import annotations

import uuid
from pathlib import Path

from recinfer.distributed.team import Team
from recinfer.errors import OutputError


def check_shared(team: Team, folder: Path) -> None:
    """Rank 0 leaves a file in the folder, and the others look for it.

    Raises:
        OutputError: on rank 0, some ranks have another folder of that name.
    """
    if team.size == 1:
        return
    mark = folder / team.tell(f".recinfer-{uuid.uuid4().hex}")
    if team.leads:
        mark.touch()
    try:
        team.wait()
        seen = team.gather(mark.exists())
    finally:
        if team.leads:
            mark.unlink(missing_ok=True)
    blind = [rank for rank, sees in enumerate(seen or ()) if not sees]
    if blind:
        raise OutputError(
            f"rank {', '.join(map(str, blind[:8]))} does not see the model_dir {folder} of rank 0",
            "give all ranks one folder that each of them reaches, on a shared file system; a model_dir in an object "
            "store serves the ranks of one machine",
        )
