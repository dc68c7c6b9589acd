"""Parts of models: experts, towers, masks, interactions, each of at least one piece and of widths that fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from recinfer.config.problems import Problem
from recinfer.config.view import ConfigView
from recinfer.config.walk import walk

LINEAR_PARTS = ("wide_and_deep", "deepfm", "xdeepfm")


def experts_are_there(view: ConfigView) -> Iterator[Problem]:
    """Where experts are mixed, there is at least one."""
    model: Any = view.model
    if view.model_kind in ("mmoe", "dbmtl", "dc2vr") and model.HasField("expert_mlp") and model.num_expert < 1:
        where = f"model_config.{view.model_kind}"
        yield Problem(where, "`num_expert` is 0", "set it to the number of experts that tasks share")


def extraction_networks_mix(view: ConfigView) -> Iterator[Problem]:
    """PLE has levels, each with experts of its tasks, as wide as the shared ones."""
    model: Any = view.model
    if view.model_kind != "ple":
        return
    if not model.extraction_networks:
        yield Problem("model_config.ple", "`extraction_networks` is empty", "add one per level")
    for index, network in enumerate(model.extraction_networks):
        where = f"model_config.ple.extraction_networks[{index}], `{network.network_name}`"
        if network.expert_num_per_task < 1:
            yield Problem(where, "`expert_num_per_task` is 0", "each task has at least one expert of its own")
        own, shared = list(network.task_expert_net.hidden_units), list(network.share_expert_net.hidden_units)
        if network.share_num and not network.HasField("share_expert_net"):
            yield Problem(where, "`share_num` without `share_expert_net`", "add the MLP of the shared experts")
        elif network.share_num and own and shared and own[-1] != shared[-1]:
            what = f"task_expert_net ends in {own[-1]} units, and share_expert_net in {shared[-1]}"
            yield Problem(where, what, "a gate mixes experts of one width")


def mask_blocks_have_widths(view: ConfigView) -> Iterator[Problem]:
    """A mask net has blocks, each with an output."""
    for path, message in walk(view.config.model_config, "model_config"):
        if message.DESCRIPTOR.name != "MaskNetModule":
            continue
        net: Any = message
        if net.n_mask_blocks < 1:
            yield Problem(path, "`n_mask_blocks` is 0", "set it to at least 1")
        if net.mask_block.hidden_dim < 1:
            yield Problem(f"{path}.mask_block", "`hidden_dim` is 0", "set it to the width of a block's output")
        if not net.mask_block.reduction_ratio > 0 and net.mask_block.aggregation_dim < 1:
            what = "the aggregation layer has no width"
            yield Problem(f"{path}.mask_block", what, "set reduction_ratio, or aggregation_dim")


def interactions_have_layers(view: ConfigView) -> Iterator[Problem]:
    """xDeepFM's CIN and WuKong have layers, of at least one feature each; a linear part has a width."""
    model: Any = view.model
    where = f"model_config.{view.model_kind}"
    if view.model_kind == "xdeepfm" and (not model.cin.cin_layer_size or 0 in model.cin.cin_layer_size):
        what = f"`cin_layer_size` is {list(model.cin.cin_layer_size)}"
        yield Problem(f"{where}.cin", what, "give the feature maps of each layer, such as [32, 16]")
    if view.model_kind in LINEAR_PARTS and model.wide_embedding_dim < 1:
        yield Problem(where, "`wide_embedding_dim` is 0", "set it to at least 1")
    if view.model_kind != "wukong":
        return
    if not model.wukong_layers:
        yield Problem(where, "`wukong_layers` is empty", "add one or more")
    for index, layer in enumerate(model.wukong_layers):
        place = f"{where}.wukong_layers[{index}]"
        if layer.compressed_feature_num == 0:
            yield Problem(place, "`compressed_feature_num` is 0", "set it to at least 1")
        if layer.HasField("lcb_feature_num") and layer.lcb_feature_num + layer.fmb_feature_num == 0:
            yield Problem(place, "`lcb_feature_num` and `fmb_feature_num` are 0", "a layer makes at least one feature")


def personalized_layers_are_there(view: ConfigView) -> Iterator[Problem]:
    """PEPNet with a group ``uia`` has layers that it scales, and one with domains says how many."""
    model: Any = view.model
    if view.model_kind != "pepnet":
        return
    where = "model_config.pepnet"
    units = list(model.ppnet_hidden_units)
    if view.group("uia") is not None and (not units or 0 in units):
        what = f"there is a group `uia`, and `ppnet_hidden_units` is {units}"
        yield Problem(where, what, "give at least one layer, of at least one unit")
    if view.group("domain") is not None and model.HasField("epnet_hidden_unit") and model.epnet_hidden_unit < 1:
        yield Problem(where, "`epnet_hidden_unit` is 0", "set it to at least 1, or leave it out")
    if model.domain_input_name and model.task_domain_num < 1:
        what = "there is a `domain_input_name`, and `task_domain_num` is 0"
        yield Problem(where, what, "set it to the number of domains")
