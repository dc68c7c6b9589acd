"""Initialisers of embedding tables as a config writes them: ``nn.init.uniform_,a=-0.05,b=0.05``."""

from __future__ import annotations

# Functions of torch.nn.init, each with its arguments that are numbers.
INITIALISERS: dict[str, tuple[str, ...]] = {
    "uniform_": ("a", "b"),
    "normal_": ("mean", "std"),
    "trunc_normal_": ("mean", "std", "a", "b"),
    "constant_": ("val",),
    "ones_": (),
    "zeros_": (),
    "xavier_uniform_": ("gain",),
    "xavier_normal_": ("gain",),
    "kaiming_uniform_": ("a",),
    "kaiming_normal_": ("a",),
    "orthogonal_": ("gain",),
}
NEEDED = {"constant_": "val"}


def parse_init_fn(text: str) -> tuple[str, dict[str, float]]:
    """The name, bare of ``torch.nn.init.``, and the arguments.

    Raises:
        ValueError: says what is wrong, and in its second argument what to do.
    """
    name, *arguments = [piece.strip() for piece in text.split(",")]
    bare = name.removeprefix("torch.").removeprefix("nn.").removeprefix("init.")
    if bare not in INITIALISERS:
        known = ", ".join(f"nn.init.{each}" for each in INITIALISERS)
        raise ValueError(f"init_fn {text!r} is unknown", f"use one of {known}")
    keywords: dict[str, float] = {}
    for argument in arguments:
        key, _, value = (piece.strip() for piece in argument.partition("="))
        try:
            keywords[key] = float(value)
        except ValueError:
            hint = "write for example nn.init.uniform_,a=-0.05,b=0.05"
            raise ValueError(f"init_fn {text!r}: {argument!r} is not name=number", hint) from None
        if key not in INITIALISERS[bare]:
            taken = ", ".join(INITIALISERS[bare]) or "no arguments"
            raise ValueError(f"init_fn {text!r}: {bare} has no argument {key!r}", f"it takes {taken}")
    if bare in NEEDED and NEEDED[bare] not in keywords:
        raise ValueError(f"init_fn {text!r} lacks {NEEDED[bare]!r}", f"write {name},{NEEDED[bare]}=0.1")
    if bare == "uniform_" and keywords.get("a", 0.0) > keywords.get("b", 1.0):
        raise ValueError(f"init_fn {text!r}: a is above b", "values lie between a and b, which are 0 and 1 by default")
    if keywords.get("std", 0.0) < 0:
        raise ValueError(f"init_fn {text!r}: std is below 0", "a standard deviation is 0 or above")
    return bare, keywords
