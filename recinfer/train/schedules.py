"""Learning rates as functions of the steps or epochs that lie behind."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_left
from dataclasses import dataclass
from typing import Any

from recinfer.errors import ConfigError


@dataclass(frozen=True)
class Schedule(ABC):
    """A learning rate that depends only on how far training is, so resuming needs no state.

    Attributes:
        base: the optimizer's own learning rate.
        by_epoch: count epochs instead of steps.
    """

    base: float
    by_epoch: bool = False

    @abstractmethod
    def after(self, count: int) -> float:
        """The rate of the next update when ``count`` steps (or epochs) are done."""

    def at(self, step: int, epoch: int) -> float:
        """The rate of the update that follows ``step`` updates, in epoch ``epoch`` (both from 0); 0 stays 0."""
        return self.after(epoch if self.by_epoch else step) if self.base else 0.0


@dataclass(frozen=True)
class Constant(Schedule):
    """Always ``base``."""

    def after(self, count: int) -> float:
        return self.base


@dataclass(frozen=True)
class Warmup(Schedule):
    """Linear from ``warmup_rate`` to ``base`` over ``warmup_size`` counts, then whatever :meth:`decayed` says.

    Attributes:
        warmup_rate: the rate at count 0, if ``warmup_size`` is not 0.
        warmup_size: length of the warm-up.
        floor: lowest rate after the warm-up.
    """

    warmup_rate: float = 0.0
    warmup_size: int = 0
    floor: float = 0.0

    def after(self, count: int) -> float:
        if count < self.warmup_size:
            return self.warmup_rate + (self.base - self.warmup_rate) * count / self.warmup_size
        return self.decayed(count - self.warmup_size)

    @abstractmethod
    def decayed(self, count: int) -> float:
        """The rate ``count`` counts after the warm-up."""


@dataclass(frozen=True)
class ExponentialDecay(Warmup):
    """``base * factor ** (count / size)``, the exponent rounded down if ``staircase``, never below ``floor``."""

    size: int = 1
    factor: float = 0.95
    staircase: bool = True

    def decayed(self, count: int) -> float:
        power = count // self.size if self.staircase else count / self.size
        return max(self.base * self.factor**power, self.floor)


@dataclass(frozen=True)
class CosineAnnealing(Warmup):
    """Half a cosine from ``base`` down to ``floor`` over ``period`` counts, then ``floor`` (Loshchilov, 2017)."""

    period: int = 1

    def decayed(self, count: int) -> float:
        return _cosine(self.base, self.floor, min(count / self.period, 1.0))


@dataclass(frozen=True)
class CosineWarmRestarts(Warmup):
    """Cosine annealing that starts again from ``base``, each period ``growth`` times as long as the one before."""

    period: int = 1
    growth: int = 1

    def decayed(self, count: int) -> float:
        period = self.period
        while count >= period:
            if self.growth == 1:
                count %= period
                break
            count -= period
            period *= self.growth
        return _cosine(self.base, self.floor, count / period)


@dataclass(frozen=True)
class ManualSteps(Schedule):
    """``rates[i]`` after count ``sizes[i]``; up to ``sizes[0]`` the base rate, or a line from it to ``rates[0]``."""

    sizes: tuple[int, ...] = ()
    rates: tuple[float, ...] = ()
    warmup: bool = False

    def after(self, count: int) -> float:
        passed = bisect_left(self.sizes, count)
        if passed:
            return self.rates[passed - 1]
        if self.warmup:
            return self.base + (self.rates[0] - self.base) * count / self.sizes[0]
        return self.base


def build_schedule(optimizer: Any, base: float, where: str) -> Schedule:
    """The schedule that an optimizer message's ``learning_rate`` asks for; constant where it does not say.

    Args:
        optimizer: a ``SparseOptimizer``, ``DenseOptimizer`` or ``PartOptimizer`` message.
        base: the learning rate of its optimizer.
        where: its path in the config, for errors.

    Raises:
        ConfigError: a size is missing or zero, or lists differ in length.
    """
    kind = optimizer.WhichOneof("learning_rate")
    if kind in (None, "constant_learning_rate"):
        return Constant(base)
    config = getattr(optimizer, kind)
    where = f"{where}.{kind}"
    if kind == "manual_step_learning_rate":
        return _manual_steps(config, base, where)
    common = (base, config.by_epoch, config.warmup_learning_rate, config.warmup_size, config.min_learning_rate)
    if kind == "exponential_decay_learning_rate":
        size = _positive(config.decay_size, f"{where}.decay_size")
        return ExponentialDecay(*common, size=size, factor=config.decay_factor, staircase=config.staircase)
    if kind == "cosine_annealing_learning_rate":
        return CosineAnnealing(*common, period=_positive(config.T_max, f"{where}.T_max"))
    period, growth = _positive(config.T_0, f"{where}.T_0"), _positive(config.T_mult, f"{where}.T_mult")
    return CosineWarmRestarts(*common, period=period, growth=growth)


def _manual_steps(config: Any, base: float, where: str) -> ManualSteps:
    sizes, rates = tuple(config.schedule_sizes), tuple(config.learning_rates)
    if not sizes or len(sizes) != len(rates):
        raise ConfigError(
            f"{where}: {len(sizes)} schedule_sizes and {len(rates)} learning_rates", "give one rate for each size"
        )
    if list(sizes) != sorted(set(sizes)) or sizes[0] == 0:
        raise ConfigError(f"{where}: schedule_sizes {list(sizes)} must be positive and grow")
    return ManualSteps(base, config.by_epoch, sizes, rates, config.warmup)


def _positive(value: int, where: str) -> int:
    if value < 1:
        raise ConfigError(f"{where} must be at least 1", f"set {where.rsplit('.', 1)[1]}")
    return value


def _cosine(top: float, floor: float, part: float) -> float:
    return floor + (top - floor) * (1 + math.cos(math.pi * part)) / 2
