"""Multi-layer perceptrons: layers, dropouts and activations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from recinfer.config.activations import ACTIVATIONS, DICE, activation_hint, is_known
from recinfer.config.nearest import nearest_name
from recinfer.config.problems import Problem
from recinfer.config.view import ConfigView
from recinfer.config.walk import walk
from recinfer.protos.module_pb2 import MLP


def layers_have_units(view: ConfigView) -> Iterator[Problem]:
    """An MLP has layers, each of at least one unit."""
    for path, message in _perceptrons(view):
        if not message.hidden_units:
            yield Problem(path, "`hidden_units` is empty", "give at least one layer")
        elif 0 in message.hidden_units:
            yield Problem(path, f"`hidden_units` is {list(message.hidden_units)}", "a layer has at least one unit")


def dropouts_fit_layers(view: ConfigView) -> Iterator[Problem]:
    """Dropout is one ratio for all layers or one per layer, each from 0 to 1."""
    for path, message in _perceptrons(view):
        yield from _dropouts(path, "dropout_ratio", message.dropout_ratio, "hidden_units", message.hidden_units)
    if view.model_kind == "pepnet" and view.group("uia") is not None:
        model: Any = view.model
        where = "model_config.pepnet"
        yield from _dropouts(
            where, "ppnet_dropout_ratio", model.ppnet_dropout_ratio, "ppnet_hidden_units", model.ppnet_hidden_units
        )
    for path, tower in view.towers():
        if not 0 <= getattr(tower, "dropout_ratio", 0.0) <= 1:
            yield Problem(path, f"`dropout_ratio` is {tower.dropout_ratio:g}", "it is a share of the units: 0 to 1")


def activations_are_known(view: ConfigView) -> Iterator[Problem]:
    """Activations are classes of torch that run here, Dice, or "" for none."""
    named = [(f"{path}.activation", message.activation) for path, message in _perceptrons(view)]
    if view.model_kind == "pepnet":
        named.append(("model_config.pepnet.ppnet_activation", view.model.ppnet_activation))  # type: ignore[union-attr]
    for path, name in named:
        if not is_known(name):
            near = nearest_name(name, [DICE, *(f"nn.{each}" for each in ACTIVATIONS)])
            hint = f"did you mean `{near}`?" if near else activation_hint()
            yield Problem(path, f"activation `{name}` is unknown", hint)


def _dropouts(path: str, field: str, ratios: Sequence[float], layers: str, units: Sequence[int]) -> Iterator[Problem]:
    if units and len(ratios) not in (0, 1, len(units)):
        what = f"{len(ratios)} values of `{field}` for {len(units)} `{layers}`"
        yield Problem(path, what, "give one value, or one per layer")
    for ratio in ratios:
        if not 0 <= ratio <= 1:
            yield Problem(path, f"`{field}` is {ratio:g}", "it is a share of the units: 0 to 1")
            return


def _perceptrons(view: ConfigView) -> Iterator[tuple[str, Any]]:
    for path, message in walk(view.config.model_config, "model_config"):
        if message.DESCRIPTOR is MLP.DESCRIPTOR:
            yield path, message
