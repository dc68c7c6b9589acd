"""Which ids have rows: the policies against a plain count, eval mode, filters, and the finished mapping."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from google.protobuf import text_format
from hypothesis import given, settings
from hypothesis import strategies as st
from torchrec.sparse.jagged_tensor import JaggedTensor

from recinfer.errors import ConfigError
from recinfer.nn.admission import build_admission
from recinfer.nn.id_slots import IdSlots, build_slots
from recinfer.nn.slot_remap import finished
from recinfer.protos.embedding_pb2 import ZeroCollisionHash

FREE = torch.iinfo(torch.int64).max
INT64 = st.integers(-(2**63), 2**63 - 1)


def slots_of(text: str, **options: Any) -> IdSlots:
    return build_slots(text_format.Parse(text, ZeroCollisionHash()), "f", **options)


def rows(slots: IdSlots, ids: list[int]) -> list[int]:
    """What torchrec's module maps ids to; in training it takes note of them."""
    given_ids = torch.tensor(ids, dtype=torch.int64)
    out = slots({"f": JaggedTensor(given_ids, lengths=torch.ones(len(ids), dtype=torch.int32))})
    return list(out["f"].values().tolist())


def known(slots: IdSlots) -> set[int]:
    return {int(each) for each in slots.state_dict()["_mch_sorted_raw_ids"] if each != FREE}


def score(policy: str, count: int, last: int, now: int) -> float:
    """How much an id deserves a row, as torchrec's documentation defines it."""
    age = now - last + 1
    return {"lfu": float(count), "lru": -(age**1.5), "distance_lfu": count / age**0.5}[policy]


@pytest.mark.parametrize("policy", ["lfu {}", "lru { decay_exponent: 1.5 }", "distance_lfu { decay_exponent: 0.5 }"])
def test_the_ids_that_deserve_rows_have_them(policy: str) -> None:
    """Rows go to the best scores among the known ids and those of the interval; equal scores may go either way."""
    name, size, interval = policy.split()[0], 9, 2
    slots = slots_of(f"zch_size: {size} eviction_interval: {interval} {policy}").train()
    random = np.random.default_rng(7)
    counts: dict[int, int] = {}
    last: dict[int, int] = {}
    interval_counts: Counter[int] = Counter()
    interval_last: dict[int, int] = {}
    evicted = 0
    for step in range(1, 41):
        batch = [int(each) * 2**57 - 2**62 for each in random.integers(0, 40, 12) // 2 + step]
        before = known(slots)
        rows(slots, batch)
        interval_counts.update(batch)
        interval_last.update(dict.fromkeys(batch, step))
        if step % interval:
            assert known(slots) == before
            continue
        for each, count in interval_counts.items():
            counts[each] = count + (counts.get(each, 0) if each in before else 0)
            last[each] = interval_last[each]
        candidates = before | interval_counts.keys()
        kept = known(slots)
        assert kept <= candidates and len(kept) == min(size - 1, len(candidates))
        scores = {each: score(name, counts[each], last[each], step) for each in candidates}
        assert min(scores[each] for each in kept) >= max([scores[each] for each in candidates - kept], default=-1e9)
        evicted += len(before - kept)
        interval_counts.clear()
        interval_last.clear()
    assert evicted >= 3


def test_known_ids_have_rows_of_their_own_and_others_share_the_last() -> None:
    slots = slots_of("zch_size: 5 eviction_interval: 1 lfu {}").train()
    rows(slots, [2**62, -3, 2**62])
    slots.eval()
    first, second, *others = rows(slots, [2**62, -3, 7, -(2**63), 2**63 - 2])
    assert first != second and {first, second} <= {0, 1, 2, 3}
    assert others == [4, 4, 4]


def test_eval_mode_changes_nothing() -> None:
    slots = slots_of("zch_size: 5 eviction_interval: 1 lru {}").train()
    rows(slots, [1, 2])
    before = {name: value.clone() for name, value in slots.state_dict().items()}
    slots.eval()
    for _ in range(3):
        rows(slots, [8, 9, 9])
    torch.testing.assert_close(dict(slots.state_dict()), before, rtol=0, atol=0)
    slots.train()
    rows(slots, [8])
    assert known(slots) == {1, 2, 8}


def test_a_frozen_mapping_stays_in_training() -> None:
    slots = slots_of("zch_size: 5 eviction_interval: 1 lru {}", trainable=False).train()
    assert rows(slots, [1, 2]) == [4, 4]
    assert not known(slots)
    part = slots.rebuild_with_output_id_range((0, 5), [0, 5])
    assert isinstance(part, IdSlots) and part.frozen


@pytest.mark.parametrize("policy", ["lfu {}", "lru {}", "distance_lfu {}"])
def test_batches_without_ids(policy: str) -> None:
    """The first batch sizes torchrec's buffer, and its filters divide by the number of ids: none must do no harm."""
    admission = 'threshold_filtering_func: "lambda x: dynamic_threshold_filter(x, 0.5)"'
    slots = slots_of(f"zch_size: 5 eviction_interval: 2 {policy} {admission}").train()
    for batch in ([], [], [], [6, 6], [], [], [7], [7]):
        rows(slots, batch)
    assert known(slots) == {6, 7}


@pytest.mark.parametrize(
    ("text", "admitted"),
    [
        ("lambda x: (x > 2, 2)", [False, False, True, True]),
        ("lambda count: (count >= 2, 2)", [False, True, True, True]),
        ("average_threshold_filter", [False, False, False, True]),
        ("lambda x: average_threshold_filter(x)", [False, False, False, True]),
        ("lambda x: dynamic_threshold_filter(x, 0.5)", [False, False, True, True]),
        ("lambda x: dynamic_threshold_filter(x, threshold_skew_multiplier=1.5)", [False, False, False, True]),
        ("lambda x: probabilistic_threshold_filter(x, per_id_probability=1.0)", [True] * 4),
    ],
)
def test_filters_of_new_ids(text: str, admitted: list[bool]) -> None:
    chosen = build_admission(text, "f")
    assert chosen is not None
    torch.manual_seed(0)
    assert chosen(torch.tensor([1, 2, 3, 10]))[0].tolist() == admitted


@pytest.mark.parametrize(
    "text",
    [
        "lambda x: (x < 2, 2)",
        "lambda x: (y > 2, 2)",
        "lambda x: __import__('os').system('true')",
        "lambda x: dynamic_threshold_filter(x, x)",
        "lambda x: average_threshold_filter(x, 1.0)",
        "lambda x: probabilistic_threshold_filter(x, threshold_skew_multiplier=1.0)",
        "my_filter",
        "lambda x, y: (x > 2, 2)",
        "lambda x (",
    ],
)
def test_filters_that_are_not_understood(text: str) -> None:
    with pytest.raises(ConfigError, match=r"threshold_filtering_func .* is not understood: feature 'f'"):
        build_admission(text, "f")


def test_a_filter_keeps_rare_ids_out() -> None:
    text = 'zch_size: 5 eviction_interval: 2 {} threshold_filtering_func: "lambda x: (x > 2, 2)"'
    for policy in ("lfu {}", "lru {}", "distance_lfu {}"):
        slots = slots_of(text.replace("{}", policy, 1)).train()
        for batch in ([1, 1, 2], [1, 2, 3], [3, 3], [2, 3]):
            rows(slots, batch)
        assert known(slots) == {1, 3}


@settings(max_examples=60, deadline=None)
@given(
    batches=st.lists(st.lists(INT64 | st.integers(-4, 4), min_size=1, max_size=12), max_size=4),
    asked=st.lists(INT64 | st.integers(-6, 6), max_size=20),
    size=st.integers(2, 12),
)
def test_the_finished_mapping_equals_torchrec_s(batches: list[list[int]], asked: list[int], size: int) -> None:
    slots = slots_of(f"zch_size: {size} eviction_interval: 1 distance_lfu {{}}").train()
    for batch in batches:
        rows(slots, batch)
    remap = torch.jit.script(finished(slots.eval()))
    every = [*asked, *(each for batch in batches for each in batch), -(2**63), 2**63 - 1]
    assert remap(torch.tensor(every, dtype=torch.int64)).tolist() == rows(slots, every)
