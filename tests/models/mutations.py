"""Random changes to a config, of the kind that a user's mistakes make: a field cleared, a number or a name changed."""

from __future__ import annotations

from random import Random
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from recinfer.config.field_types import ENUM, FLOATS, INTEGER_RANGES, MESSAGE, STRING, is_map
from recinfer.config.walk import walk

NUMBERS = (0, 1, 2, 3, 5, 8)
RATIOS = (-0.5, 0.0, 0.3, 0.9, 1.5)
SWITCHED = {"loss", "metric", "seq_module", "dense_emb"}
FIXED = {"embedding_constraints", "zch", "dynamicemb", "stub_type", "vocab_file", "vocab_dict", "asset_dir"}


def mutate(config: Any, random: Random) -> str:
    """Changes one field somewhere in the features or the model, in place; returns what was changed."""
    parts = [("model_config", config.model_config)]
    parts += [(f"feature_configs[{index}]", each) for index, each in enumerate(config.feature_configs)]
    weights = [5.0, *[5.0 / len(config.feature_configs)] * len(config.feature_configs)]
    path, part = random.choices(parts, weights)[0]
    places = list(walk(part, path))
    while True:
        path, message = random.choice(places)
        fields = [
            field
            for field in message.DESCRIPTOR.fields
            if field.name not in FIXED and not is_map(field) and _may_switch(field)
        ]
        if fields:
            field = random.choice(fields)
            if _change(message, field, config, random):
                return f"{path}.{field.name}"


def _may_switch(field: FieldDescriptor) -> bool:
    return field.containing_oneof is None or field.containing_oneof.name in SWITCHED


def _change(message: Message, field: FieldDescriptor, config: Any, random: Random) -> bool:
    if field.is_repeated:
        held = getattr(message, field.name)
        if len(held) and random.random() < 0.5:
            del held[random.randrange(len(held))]
        elif field.cpp_type == MESSAGE:
            if not len(held):
                return False
            held.add().CopyFrom(random.choice(list(held)))
        else:
            held.append(_value(field, config, random))
        return True
    if field.cpp_type == MESSAGE:
        if not message.HasField(field.name):
            if field.containing_oneof is not None:
                getattr(message, field.name).SetInParent()
            return field.containing_oneof is not None
        if random.random() < 0.5:
            message.ClearField(field.name)
        else:
            getattr(message, field.name).Clear()
            getattr(message, field.name).SetInParent()
        return True
    if message.HasField(field.name) and random.random() < 0.2:
        message.ClearField(field.name)
    else:
        setattr(message, field.name, _value(field, config, random))
    return True


def _value(field: FieldDescriptor, config: Any, random: Random) -> Any:
    if field.cpp_type in INTEGER_RANGES:
        return random.choice(NUMBERS)
    if field.cpp_type in FLOATS:
        return random.choice(RATIOS)
    if field.cpp_type == ENUM:
        return random.choice(field.enum_type.values).number
    return _name(field.name, config, random) if field.cpp_type == STRING else random.random() < 0.5


def _name(field: str, config: Any, random: Random) -> str:
    """A text that could stand in a field of that name, or could not."""
    groups = config.model_config.feature_groups
    names = ["nonsense", "", *(group.group_name for group in groups)]
    if field == "feature_names":
        names = ["nonsense", *(name for group in groups for name in group.feature_names)]
        names += [name for group in groups for each in group.sequence_groups for name in each.feature_names]
    elif field == "activation":
        names = ["nn.Tanh", "Dice", "relu", "nn.Softmax"]
    elif field == "init_fn":
        names = ["nn.init.ones_", "nn.init.normal_,std=-1", "nn.init.uniform_,c=1", "nn.init.uniform_,a=3"]
    elif field == "embedding_name":
        names = ["movie", "user_id_emb", "genres_emb", "other"]
    elif field == "data_type":
        names = ["FP16", "INT2"]
    elif field == "pooling":
        names = ["mean", "sum", "max"]
    elif field.endswith("tower_names") or field == "tower_name":
        names = ["ctr", "cvr", "nonsense"]
    return random.choice(names)
