"""What a ``TrainConfig`` message asks of the loop, checked before anything is built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recinfer.errors import ConfigError

if TYPE_CHECKING:
    import torch

PRECISIONS = {"BF16": "bfloat16", "FP16": "float16"}
CLIPPING = ("none", "norm", "value")
ALWAYS_SHOWN = ("loss", "learning_rate")
SUMMARIES = (*ALWAYS_SHOWN, "parameter", "global_gradient_norm", "gradient_norm", "gradient")
# They count the time that messages of a stream carry.
OF_STREAMS = ("save_checkpoints_timestamp_interval", "save_checkpoints_timestamps")


@dataclass(frozen=True)
class Clipping:
    """How gradients of dense parameters are bounded.

    Attributes:
        kind: ``none``, ``norm`` (of all of them together) or ``value`` (each element).
        bound: the largest norm or element.
        norm_type: 2 for the Euclidean norm.
    """

    kind: str = "none"
    bound: float = 1.0
    norm_type: float = 2.0


@dataclass(frozen=True)
class TrainSettings:
    """The loop's settings.

    Attributes:
        num_steps, num_epochs: where to stop, whichever comes first; None for no bound.
        save_steps: steps between checkpoints, 0 for none but the last.
        save_epochs: epochs between checkpoints, 0 for none but the last.
        log_steps: steps between log lines.
        keep: newest checkpoints to keep, 0 for all.
        precision: dtype of autocast, or None.
        scaler: arguments of the gradient scaler, or None.
        accumulate: batches of one dense update.
        clipping: of dense gradients.
        summaries: what TensorBoard gets; empty without TensorBoard.
        profile: record a trace of a few steps.
        ema_decay: of the moving averages of dense parameters, or None.
    """

    num_steps: int | None
    num_epochs: int | None
    save_steps: int
    save_epochs: int
    log_steps: int
    keep: int
    precision: torch.dtype | None
    scaler: dict[str, float] | None
    accumulate: int
    clipping: Clipping
    summaries: tuple[str, ...]
    profile: bool
    ema_decay: float | None


def read_settings(config: Any) -> TrainSettings:
    """Reads and checks a ``TrainConfig`` message.

    Raises:
        ConfigError: training would have no end, or a setting is unknown or unsupported.
    """
    for check in CHECKS:
        check(config)
    by_epoch = bool(config.save_checkpoints_epochs)
    return TrainSettings(
        num_steps=config.num_steps or None,
        num_epochs=config.num_epochs or None,
        save_steps=0 if by_epoch else config.save_checkpoints_steps,
        save_epochs=config.save_checkpoints_epochs,
        log_steps=max(config.log_step_count_steps, 1),
        keep=config.keep_checkpoint_max,
        precision=_precision(config),
        scaler=_scaler(config),
        accumulate=max(config.gradient_accumulation_steps, 1),
        clipping=_clipping(config),
        summaries=(*ALWAYS_SHOWN, *config.tensorboard_summaries) if config.use_tensorboard else (),
        profile=config.is_profiling,
        ema_decay=_ema_decay(config),
    )


def read_precision(name: str, where: str) -> torch.dtype | None:
    """The dtype of a ``mixed_precision`` field, None for full precision.

    Raises:
        ConfigError: it is unknown.
    """
    if not name:
        return None
    if name not in PRECISIONS:
        raise ConfigError(f"{where}: {name!r} is unknown", "use BF16 or FP16, or leave it out")
    import torch

    precision: torch.dtype = getattr(torch, PRECISIONS[name])
    return precision


def _ends(config: Any) -> None:
    if not (config.num_steps or config.num_epochs):
        raise ConfigError("train_config says neither num_steps nor num_epochs", "set one, such as num_epochs: 1")


def _starts_somewhere(config: Any) -> None:
    if config.fine_tune_ckpt_param_map and not config.fine_tune_checkpoint:
        raise ConfigError("train_config.fine_tune_ckpt_param_map without fine_tune_checkpoint", "set both, or neither")


def _reads_no_stream(config: Any) -> None:
    for name in OF_STREAMS:
        if getattr(config, name):
            raise ConfigError(
                f"train_config.{name} counts the time of a stream's messages, and rows of files have none",
                f"remove {name}; save_checkpoints_steps or save_checkpoints_epochs say when to save",
            )


def _dumps_no_changes(config: Any) -> None:
    if config.HasField("delta_embedding_dump_config"):
        raise ConfigError("train_config.delta_embedding_dump_config is not supported", "remove it")


def _summaries_are_known(config: Any) -> None:
    for name in config.tensorboard_summaries:
        if name not in SUMMARIES:
            raise ConfigError(f"train_config.tensorboard_summaries: {name!r} is unknown", f"use {', '.join(SUMMARIES)}")


def _precision(config: Any) -> torch.dtype | None:
    return read_precision(config.mixed_precision, "train_config.mixed_precision")


def _scaler(config: Any) -> dict[str, float] | None:
    if not config.HasField("grad_scaler"):
        return None
    scaler = config.grad_scaler
    for name, fits, rule in (
        ("init_scale", scaler.init_scale > 0, "above 0"),
        ("growth_factor", scaler.growth_factor > 1, "above 1"),
        ("backoff_factor", 0 < scaler.backoff_factor < 1, "between 0 and 1"),
        ("growth_interval", scaler.growth_interval > 0, "above 0"),
    ):
        if not fits:
            raise ConfigError(f"train_config.grad_scaler.{name} is {getattr(scaler, name):g}", f"set it {rule}")
    return {field.name: getattr(scaler, field.name) for field in scaler.DESCRIPTOR.fields}


def _ema_decay(config: Any) -> float | None:
    optimizer = config.dense_optimizer
    if not optimizer.HasField("ema"):
        return None
    decay = float(optimizer.ema.decay)
    if not 0 <= decay <= 1:
        raise ConfigError(f"train_config.dense_optimizer.ema.decay is {decay:g}", "set it to 0 up to 1")
    return decay


def _clipping(config: Any) -> Clipping:
    settings = config.grad_clipping
    kind = settings.clipping_type.lower() or "none"
    if kind not in CLIPPING:
        raise ConfigError(
            f"train_config.grad_clipping.clipping_type {kind!r} is unknown", f"use {' or '.join(CLIPPING)}"
        )
    for name in ("max_gradient", "norm_type"):
        if not getattr(settings, name) > 0:
            raise ConfigError(f"train_config.grad_clipping.{name} is {getattr(settings, name):g}", "set it above 0")
    return Clipping(kind, settings.max_gradient, settings.norm_type)


# Each looks at one thing, so that a check of the config can tell all that is wrong.
CHECKS: tuple[Callable[[Any], Any], ...] = (
    _ends,
    _starts_somewhere,
    _reads_no_stream,
    _dumps_no_changes,
    _summaries_are_known,
    _precision,
    _scaler,
    _ema_decay,
    _clipping,
)
