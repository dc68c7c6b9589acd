"""What the processes of a job tell each other before every step that they take together."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
import torch.distributed as dist


@dataclass(frozen=True)
class Word:
    """What one process says of itself; of all together, what at least one has said.

    Attributes:
        rows: has a batch for the next step.
        more: may have another one later.
        held: has a batch in the pipeline that comes out only with the next step.
        ending: was asked to end: nobody should begin anything new.
        stop: cannot go on.
    """

    rows: bool = False
    more: bool = False
    held: bool = False
    ending: bool = False
    stop: bool = False


class Agreement:
    """Exchanges words: one small collective.

    Used by one thread; no other collective may use the group.

    Args:
        group: over CPU memory (gloo), so that no accelerator waits for it.
    """

    def __init__(self, group: dist.ProcessGroup) -> None:
        self._group = group

    def hear(self, mine: Word) -> Word:
        """What at least one process says; the same for all of them.

        Raises:
            RuntimeError: a process is gone.
        """
        names = [field.name for field in fields(Word)]
        said = torch.tensor([getattr(mine, name) for name in names], dtype=torch.uint8)
        dist.all_reduce(said, dist.ReduceOp.MAX, group=self._group)
        return Word(**dict(zip(names, map(bool, said.tolist()), strict=True)))
