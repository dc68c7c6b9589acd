#!/usr/bin/env python3
"""Writes made-up rows in the shape of Taobao's display advertising data: users, ads, clicks before, and two labels.

Users like some categories, most of them those of their group, and some brands, and have a purse; ads have a category, a
brand, a price and a quality. A user clicks on what they like and on good ads, and buys what they clicked on where the
brand is theirs and the price fits the purse. So both labels can be learned, from plain features in part and from the
history for the rest. Every id counts from 0, as configs in FG_NONE mode want it. The same seed gives the same rows.

Usage: make_taobao.py [FOLDER]    (default: quickstart/taobao; writes FOLDER/train and FOLDER/eval)
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

Ints = npt.NDArray[np.int64]

# Column -> number of ids: num_buckets in configs/taobao.
CARDINALITY = {
    "user_id": 2000,
    "cms_group_id": 13,
    "final_gender_code": 2,
    "age_level": 7,
    "pvalue_level": 3,
    "shopping_level": 3,
    "occupation": 2,
    "new_user_class_level": 4,
    "adgroup_id": 800,
    "cate_id": 40,
    "campaign_id": 300,
    "customer": 150,
    "brand": 120,
    "price": 50,
    "pid": 2,
}
HISTORY = "click_50_seq"
STEPS = ("adgroup_id", "cate_id", "brand")
LONGEST = 50
CARDINALITY |= {f"{HISTORY}__{name}": CARDINALITY[name] for name in STEPS}
# Real profiles have gaps, and these two columns have most of them.
MISSING = {"pvalue_level": 0.3, "new_user_class_level": 0.2}
LIKED_CATEGORIES, LIKED_BRANDS = 4, 12
FROM_THE_GROUP = 3
ROWS_PER_FILE, ROWS_PER_GROUP = 10_000, 2_000


@dataclass(frozen=True)
class World:
    """All users and all ads.

    Attributes:
        users: column of the user's profile -> [users].
        likes: [users, LIKED_CATEGORIES] categories, [users, LIKED_BRANDS] brands.
        purse: [users], how dear an ad a user would buy, from 0 to 1.
        ads: column of the ad -> [ads].
        quality: [ads], around 0; half of it is the category's.
        ad_ctr: [ads], float32: how well an ad did so far, standardised; its quality, seen through noise.
        of_category: per category, its ads.
    """

    users: dict[str, Ints]
    likes: tuple[Ints, Ints]
    purse: npt.NDArray[np.float64]
    ads: dict[str, Ints]
    quality: npt.NDArray[np.float64]
    ad_ctr: npt.NDArray[np.float32]
    of_category: list[Ints]


def make_world(rng: np.random.Generator) -> World:
    """Users and ads; a category has ads, and an ad's campaign and customer are those of its category."""
    count, ads = CARDINALITY["user_id"], CARDINALITY["adgroup_id"]
    profile = ("cms_group_id", "final_gender_code", "age_level", "shopping_level", "occupation", "new_user_class_level")
    users = {name: rng.integers(0, CARDINALITY[name], count) for name in profile}
    purse = np.clip(rng.beta(2.0, 2.0, count), 0.0, 0.999)
    users["pvalue_level"] = (purse * CARDINALITY["pvalue_level"]).astype(np.int64)
    categories_liked = rng.integers(0, CARDINALITY["cate_id"], (count, LIKED_CATEGORIES))
    group_taste = rng.integers(0, CARDINALITY["cate_id"], (CARDINALITY["cms_group_id"], FROM_THE_GROUP))
    categories_liked[:, :FROM_THE_GROUP] = group_taste[users["cms_group_id"]]
    likes = (categories_liked, rng.integers(0, CARDINALITY["brand"], (count, LIKED_BRANDS)))
    # Every category has ads, however the rest falls.
    categories = rng.permutation(np.arange(ads) % CARDINALITY["cate_id"])
    columns = {
        "cate_id": categories,
        "brand": rng.integers(0, CARDINALITY["brand"], ads),
        "price": rng.integers(0, CARDINALITY["price"], ads),
        "campaign_id": (categories * 7 + rng.integers(0, 8, ads)) % CARDINALITY["campaign_id"],
        "customer": (categories * 3 + rng.integers(0, 4, ads)) % CARDINALITY["customer"],
    }
    of_category = [np.flatnonzero(categories == each) for each in range(CARDINALITY["cate_id"])]
    quality = 0.8 * rng.normal(size=CARDINALITY["cate_id"])[categories] + 0.8 * rng.normal(size=ads)
    seen = quality + 0.5 * rng.normal(size=ads)
    ad_ctr = ((seen - seen.mean()) / seen.std()).astype(np.float32)
    return World(users, likes, purse, columns, quality, ad_ctr, of_category)


def pick_ads(world: World, users: Ints, liked: float, rng: np.random.Generator) -> Ints:
    """One ad per entry of ``users``: with probability ``liked`` of a category that the user likes, else any."""
    choice = rng.integers(0, LIKED_CATEGORIES, len(users))
    categories = world.likes[0][users, choice]
    sizes = np.array([len(ads) for ads in world.of_category])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    in_order = np.concatenate(world.of_category)
    chosen = in_order[starts[categories] + (rng.random(len(users)) * sizes[categories]).astype(np.int64)]
    anything = rng.integers(0, CARDINALITY["adgroup_id"], len(users))
    return np.where(rng.random(len(users)) < liked, chosen, anything)


def happens(score: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """One coin per score, whose log odds it is."""
    return rng.random(len(score)) < 1.0 / (1.0 + np.exp(-score))


def labels(world: World, users: Ints, ads: Ints, pid: Ints, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """(clk, buy) of each pair; what is bought was clicked on."""
    category_fits = (world.likes[0][users] == world.ads["cate_id"][ads, None]).any(1)
    brand_fits = (world.likes[1][users] == world.ads["brand"][ads, None]).any(1)
    shopping, dear = world.users["shopping_level"][users], world.ads["price"][ads] / CARDINALITY["price"]
    wish = -2.2 + 2.5 * category_fits + 1.2 * world.quality[ads] + 0.8 * (shopping - 1) + 0.4 * pid
    clicked = happens(wish, rng)
    bought = happens(-0.6 + 1.5 * brand_fits + 4.0 * (world.purse[users] - dear) + 0.8 * (shopping - 1), rng)
    return clicked.astype(np.int64), (clicked & bought).astype(np.int64)


def history_columns(world: World, users: Ints, rng: np.random.Generator) -> dict[str, pa.Array]:
    """What each row's user clicked on before, newest first; new users have nothing."""
    lengths = np.minimum(rng.geometric(0.08, len(users)) - 1, LONGEST)
    ads = pick_ads(world, np.repeat(users, lengths), 0.8, rng)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    values = {"adgroup_id": ads, **{name: world.ads[name][ads] for name in STEPS[1:]}}
    return {f"{HISTORY}__{name}": pa.ListArray.from_arrays(offsets, pa.array(values[name])) for name in STEPS}


def make_table(rows: int, seed: int = 0, part: int = 0) -> pa.Table:
    """Rows of the world that a seed makes; each part of it has rows of its own.

    Returns:
        ``row_id``, the columns of ``CARDINALITY`` (int64; those of the history lists of int64, of one length in a row),
        ``ad_ctr`` float32, ``clk`` and ``buy``.
    """
    world = make_world(np.random.default_rng(seed))
    rng = np.random.default_rng([seed, part])
    users = rng.integers(0, CARDINALITY["user_id"], rows)
    ads = pick_ads(world, users, 0.4, rng)
    pid = rng.integers(0, CARDINALITY["pid"], rows)
    clk, buy = labels(world, users, ads, pid, rng)
    columns: dict[str, pa.Array] = {"row_id": pa.array(np.arange(rows)), "user_id": pa.array(users)}
    for name, values in world.users.items():
        gaps = rng.random(rows) < MISSING[name] if name in MISSING else None
        columns[name] = pa.array(values[users], mask=gaps)
    columns |= {"adgroup_id": pa.array(ads), **{name: pa.array(values[ads]) for name, values in world.ads.items()}}
    columns |= {"ad_ctr": pa.array(world.ad_ctr[ads]), "pid": pa.array(pid), **history_columns(world, users, rng)}
    return pa.table({**columns, "clk": clk, "buy": buy})


def write_table(table: pa.Table, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, start in enumerate(range(0, table.num_rows, ROWS_PER_FILE)):
        part = table.slice(start, ROWS_PER_FILE)
        pq.write_table(part, folder / f"part-{number:05d}.parquet", row_group_size=ROWS_PER_GROUP, compression="zstd")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("quickstart/taobao"), help="where the rows go")
    parser.add_argument("--rows", type=int, default=20_000, help="rows to train on; a quarter as many to evaluate")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    folder: Path = options.folder
    if options.rows < 4:
        parser.error("--rows must be 4 or more")
    if folder.exists() and any(folder.iterdir()) and not (folder / "_taobao.json").exists():
        print(f"taobao: {folder} holds something else; name another folder", file=sys.stderr)
        return 1
    counts = {"train": options.rows, "eval": options.rows // 4}
    for part, (name, rows) in enumerate(counts.items()):
        for old in (folder / name).glob("part-*.parquet"):
            old.unlink()
        write_table(make_table(rows, options.seed, part), folder / name)
    summary = {"rows": counts, "seed": options.seed, "cardinality": CARDINALITY}
    (folder / "_taobao.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    print(f"taobao: wrote {folder}: {counts}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
