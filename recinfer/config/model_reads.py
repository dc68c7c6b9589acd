"""The feature groups that each model reads, by name or by place."""

from __future__ import annotations

from recinfer.config.view import ConfigView

# Groups that a model reads by name: those that it must have, and those that it reads where it has them.
NEEDED: dict[str, tuple[str, ...]] = {
    "wide_and_deep": ("wide", "deep"),
    "deepfm": ("deep",),
    "xdeepfm": ("wide", "deep"),
    "pepnet": ("all",),
}
READ_IF_THERE: dict[str, tuple[str, ...]] = {
    "deepfm": ("fm", "wide"),
    "dlrm": ("dense",),
    "wukong": ("dense",),
    "pepnet": ("domain", "uia"),
}
# Models that read the first group, whatever its name.
READ_FIRST = (
    *("dcn_v1", "dcn_v2", "mask_net", "rocket_launching"),
    *("simple_multi_task", "mmoe", "ple", "dbmtl", "dc2vr"),
)
# Models of embeddings and numbers: the group `sparse`, which may have any name where it is alone.
DENSE_AND_SPARSE = ("dlrm", "wukong")


def needed_groups(view: ConfigView) -> list[str]:
    """The groups that the model cannot do without, by name; a name may be one that no group has."""
    names = [group.group_name for group in view.config.model_config.feature_groups]
    kind = view.model_kind or ""
    if kind in READ_FIRST:
        return names[:1]
    if kind in DENSE_AND_SPARSE:
        return names if len(names) == 1 else ["sparse"]
    return list(NEEDED.get(kind, ()))
