"""Which row of a table an id has, learnt as ids come by in training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torchrec.modules.mc_modules import (
    DistanceLFU_EvictionPolicy,
    LFU_EvictionPolicy,
    LRU_EvictionPolicy,
    MCHEvictionPolicy,
    MCHManagedCollisionModule,
)
from torchrec.sparse.jagged_tensor import JaggedTensor

from recinfer.errors import ConfigError
from recinfer.nn.admission import build_admission

History = dict[str, torch.Tensor]


class IdSlots(MCHManagedCollisionModule):
    """torchrec's mapping of any int64 id to a row: each known id has its own, all others share the last one.

    In training the ids of ``eviction_interval`` batches are kept; then the policy chooses, from the known ids and
    these, the ``zch_size - 1`` that have rows from there on. In eval mode nothing changes. Frozen, nothing changes in
    training either. Batches without any id are no reason to forget, and do not decide how much history is kept.
    """

    frozen = False
    _mch_metadata: dict[str, torch.Tensor]
    _history_metadata: dict[str, torch.Tensor]

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> IdSlots:
        """Moves to another device also what torchrec keeps beside the buffers."""
        super()._apply(fn, recurse)
        self._device = self.get_buffer("_mch_sorted_raw_ids").device
        self._mch_metadata = {name: self.get_buffer(f"_mch_{name}") for name in self._mch_metadata}
        self._history_metadata = {name: self.get_buffer(f"_history_{name}") for name in self._history_metadata}
        return self

    def profile(self, features: dict[str, JaggedTensor]) -> dict[str, JaggedTensor]:
        """Takes note of the ids of a batch, and lets the policy choose when it is time."""
        return features if self.frozen else super().profile(features)

    def rebuild_with_output_id_range(
        self,
        output_id_range: tuple[int, int],
        output_segments: list[int],
        device: torch.device | None = None,
    ) -> MCHManagedCollisionModule:
        """The part of the mapping that a rank holds."""
        made = super().rebuild_with_output_id_range(output_id_range, output_segments, device)
        assert isinstance(made, IdSlots)
        made.frozen = self.frozen
        return made

    def history(self) -> History:
        """What was kept since the policy last chose, for :meth:`set_history`; nothing before the first batch.

        Returns:
            ``clock`` int64 [2], the room for ids and the batch of the choice; ``ids`` int64 [n]; and int64 [n] for each
            thing that the policy notes of an id.
        """
        if self._current_iter < 0:
            return {}
        kept = self._current_history_buffer_offset
        room = self._input_history_buffer_size
        ids = self._history_accumulator[:kept] if room > 0 else torch.empty(0, dtype=torch.int64)
        noted = {name: values[:kept].clone() for name, values in self._history_metadata.items()}
        return {"clock": torch.tensor([room, self._last_eviction_iter]), "ids": ids.clone(), **noted}

    def set_history(self, history: History) -> None:
        """Takes up what :meth:`history` gave, after the mapping itself was loaded."""
        room, self._last_eviction_iter = (int(value) for value in history["clock"])
        self._current_iter = int(self.get_buffer("_current_iter_tensor"))
        self._input_history_buffer_size = room
        self._current_history_buffer_offset = history["ids"].numel()
        if room > 0:
            self._history_accumulator = self._with_room(history["ids"])
        for name, _, of_history in self._eviction_policy.metadata_info:
            if of_history:
                self.register_buffer(f"_history_{name}", self._with_room(history[name]), persistent=False)
                self._history_metadata[name] = self.get_buffer(f"_history_{name}")

    def _with_room(self, values: torch.Tensor) -> torch.Tensor:
        missing = max(self._input_history_buffer_size, 0) - values.numel()
        return torch.nn.functional.pad(values, (0, missing)).to(self.device)

    def _init_history_buffers(self, features: dict[str, JaggedTensor]) -> None:
        super()._init_history_buffers(features)
        if not self._input_history_buffer_size:
            # Room for nothing would keep nothing ever after; -1 asks again at the next batch.
            self._input_history_buffer_size = -1

    def _coalesce_history(self) -> None:
        if self._current_history_buffer_offset:
            super()._coalesce_history()


def build_slots(zch: Any, feature: str, *, trainable: bool = True) -> IdSlots:
    """The mapping of a ``ZeroCollisionHash`` message.

    Args:
        zch: the message.
        feature: for messages.
        trainable: False for a mapping that training leaves as it is.

    Raises:
        ConfigError: it has no eviction policy, or its filter of new ids is not understood.
    """
    slots = IdSlots(
        zch_size=int(zch.zch_size),
        device=torch.get_default_device(),
        eviction_policy=_policy(zch, feature),
        eviction_interval=int(zch.eviction_interval),
    )
    slots.frozen = not trainable
    return slots


def _policy(zch: Any, feature: str) -> MCHEvictionPolicy:
    admission = build_admission(zch.threshold_filtering_func, feature)
    kind = zch.WhichOneof("eviction_policy")
    if kind == "lfu":
        return LFU_EvictionPolicy(admission)
    if kind == "lru":
        return LRU_EvictionPolicy(zch.lru.decay_exponent, admission)
    if kind == "distance_lfu":
        return DistanceLFU_EvictionPolicy(zch.distance_lfu.decay_exponent, admission)
    raise ConfigError(f"`zch` of feature {feature!r} has no eviction policy", "add one of lfu, lru, distance_lfu")
