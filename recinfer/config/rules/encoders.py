"""Sequence encoders and DIN towers: a query where one is needed, widths that fit, options that mean something."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from recinfer.config.nearest import name_hint
from recinfer.config.problems import Problem
from recinfer.config.view import ConfigView
from recinfer.config.widths import encoder_group, feature_width, is_plain, sequence_widths
from recinfer.protos.model_pb2 import FeatureGroupConfig, SeqGroupConfig

Group = FeatureGroupConfig | SeqGroupConfig
WITHOUT_QUERY = ("pooling_encoder", "self_attention_encoder")
POOLINGS = ("sum", "mean")


def encoders_fit_their_sequences(view: ConfigView) -> Iterator[Problem]:
    """An encoder reads steps, and compares them with a query that is not wider than they are."""
    for path, group in view.groups():
        for index, encoder in enumerate(getattr(group, "sequence_encoders", [])):
            sequence = encoder_group(group, encoder)  # type: ignore[arg-type]
            kind = encoder.WhichOneof("seq_module")
            if sequence is not None and kind is not None:
                name = sequence.group_name or group.group_name
                where = f"{path}.sequence_encoders[{index}].{kind}, group `{group.group_name}`"
                yield from _fit(view, sequence, kind, f"sequence group `{name}`", where)


def din_towers_fit_their_sequences(view: ConfigView) -> Iterator[Problem]:
    """A DIN tower reads a sequence group, with a query that is not wider than the steps."""
    for index, tower in enumerate(getattr(view.model, "din_towers", [])):
        found = view.group(tower.input)
        if found is None:
            continue
        where = f"model_config.{view.model_kind}.din_towers[{index}].input"
        if is_plain(found[1]):
            what = f"a DIN tower reads a sequence group, and feature group `{tower.input}` is none"
            yield Problem(where, what, f"make `{tower.input}` group_type: SEQUENCE")
        else:
            yield from _fit(view, found[1], "a DIN tower", f"sequence group `{tower.input}`", where)


def encoder_options_are_known(view: ConfigView) -> Iterator[Problem]:
    """Options of encoders: how to pool, heads that divide the width, windows of steps."""
    for path, group in view.groups():
        for index, encoder in enumerate(getattr(group, "sequence_encoders", [])):
            kind = encoder.WhichOneof("seq_module")
            if kind is not None:
                where = f"{path}.sequence_encoders[{index}].{kind}, group `{group.group_name}`"
                for what, hint in _options(kind, getattr(encoder, kind)):
                    yield Problem(where, what, hint)


def _options(kind: str, message: Any) -> Iterator[tuple[str, str | None]]:
    if getattr(message, "max_seq_length", 0) < 0:
        yield f"`max_seq_length` is {message.max_seq_length}", "set it to 0 for all steps, or above"
    if kind == "pooling_encoder" and message.pooling_type not in POOLINGS:
        yield (
            f"`pooling_type: {message.pooling_type}` is unknown",
            name_hint(message.pooling_type, POOLINGS, "poolings"),
        )
    elif kind == "self_attention_encoder":
        width, heads = message.multihead_attn_dim, message.num_heads
        if heads < 1 or width < 1 or width % heads:
            yield f"multihead_attn_dim {width} is not a multiple of num_heads {heads}", "make it a multiple"
        if not 0 <= message.dropout <= 1:
            yield f"`dropout` is {message.dropout:g}", "it is a share of the weights: 0 to 1"
    elif kind == "multi_window_din_encoder" and (not message.windows_len or min(message.windows_len) < 1):
        yield f"`windows_len` is {list(message.windows_len)}", "give the steps of each window, such as [1, 4]"


def _fit(view: ConfigView, group: Group, kind: str, name: str, where: str) -> Iterator[Problem]:
    widths = sequence_widths(view, group)
    if widths is None or not group.feature_names:
        return
    query, steps = widths
    if steps == 0:
        what = f"{name} has no sequence features, only {_listed(view, group, steps=False)}"
        yield Problem(where, what, f"{kind} needs the features of a sequence")
    elif kind in WITHOUT_QUERY:
        return
    elif query == 0:
        what = f"{name} has no query: {_listed(view, group, steps=True)} are all sequences"
        yield Problem(where, what, f"{kind} needs plain features that the steps are compared with")
    elif query > steps or (kind == "simple_attention" and query != steps):
        sides = f"query {_listed(view, group, steps=False)}; steps {_listed(view, group, steps=True)}"
        what = f"{name} has a query of width {query} and steps of width {steps} ({sides})"
        rule = "a query as wide as the steps" if kind == "simple_attention" else "steps at least as wide as the query"
        yield Problem(where, what, f"{kind} needs {rule}")


def _listed(view: ConfigView, group: Group, *, steps: bool) -> str:
    chosen = [entry for entry in view.members(group) if entry.is_sequence == steps]
    return ", ".join(f"`{entry.name}` {feature_width(entry)}" for entry in chosen)
