"""What a compiled model takes: a compiled package checks nothing, so its inputs are checked before each call."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import torch
from msgspec import Meta

from recinfer.data.json_object import read_json_object, shaped
from recinfer.errors import ModelError

INTERFACE = "compiled.json"
Size = Annotated[int, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1)]


@dataclass(frozen=True)
class CompiledInput:
    """One input.

    Attributes:
        name: key under which it comes.
        dtype: such as ``float32``.
        shape: sizes; a name stands for a size that is free, and the same wherever the name is.
    """

    name: str
    dtype: str
    shape: tuple[Size | str, ...]


@dataclass(frozen=True)
class Interface:
    """Inputs and outputs of a compiled model, in its order.

    Attributes:
        most_rows: of a batch that it takes; None for any.
        sizes: least and most of those free sizes that it is limited in, by name.
        operators: that it was compiled from, and how often each occurs; for people.
    """

    inputs: tuple[CompiledInput, ...]
    outputs: tuple[str, ...]
    most_rows: Count | None = None
    sizes: Mapping[str, tuple[Size, Count]] = field(default_factory=dict)
    operators: Mapping[str, int] = field(default_factory=dict)

    def arrange(self, given: Mapping[str, torch.Tensor]) -> list[torch.Tensor]:
        """The inputs in the model's order, contiguous.

        Raises:
            ModelError: one is missing, or has another type or shape.
        """
        sizes: dict[str, int] = {}
        return [_checked(each, given, sizes) for each in self.inputs]

    def sizes_of(self, tensors: Sequence[torch.Tensor]) -> dict[str, int]:
        """The free sizes of arranged inputs, by name."""
        return {
            size: tensor.size(place)
            for each, tensor in zip(self.inputs, tensors, strict=True)
            for place, size in enumerate(each.shape)
            if isinstance(size, str)
        }

    def save(self, path: Path) -> None:
        """Writes it as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")


def read_interface(path: Path) -> Interface:
    """Reads what :meth:`Interface.save` wrote.

    Raises:
        ModelError: it is no such file.
    """
    hint = "export the model again"
    return shaped(read_json_object(path, hint), Interface, path, hint)


def interface_of(names: Sequence[str], examples: Sequence[Sequence[torch.Tensor]], outputs: Sequence[str]) -> Interface:
    """Learns shapes from examples of several sizes: what differs is free, and what always agrees has one name.

    Args:
        names: of the inputs.
        examples: per example, the inputs; their first one's first dimension is the batch.
    """
    free: dict[tuple[int, ...], str] = {}
    inputs = []
    for place, name in enumerate(names):
        tensors = [example[place] for example in examples]
        shape: list[int | str] = []
        for sizes in zip(*(tensor.shape for tensor in tensors), strict=True):
            shape.append(sizes[0] if len(set(sizes)) == 1 else free.setdefault(sizes, f"n{len(free)}"))
        inputs.append(CompiledInput(name, str(tensors[0].dtype).removeprefix("torch."), tuple(shape)))
    return Interface(tuple(inputs), tuple(outputs))


def _checked(wanted: CompiledInput, given: Mapping[str, torch.Tensor], sizes: dict[str, int]) -> torch.Tensor:
    tensor = given.get(wanted.name)
    if tensor is None:
        raise ModelError(f"the compiled model wants {wanted.name!r}, which is not there", "export the model again")
    fits = str(tensor.dtype) == f"torch.{wanted.dtype}" and tensor.ndim == len(wanted.shape)
    if fits:
        for size, found in zip(wanted.shape, tensor.shape, strict=True):
            fits &= found == (size if isinstance(size, int) else sizes.setdefault(size, found))
    if not fits:
        shape = [sizes.get(size, size) if isinstance(size, str) else size for size in wanted.shape]
        raise ModelError(
            f"the compiled model wants {wanted.name!r} as {wanted.dtype} {shape}, "
            f"and gets {str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}",
            "export the model again",
        )
    return tensor.contiguous()
