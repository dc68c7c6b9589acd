"""Made-up ratings in the shape of MovieLens, turned into columns by the code that turns the real ones."""

from __future__ import annotations

import get_movielens
import movielens_features as features
import numpy as np
import pyarrow as pa


def make_table(rows: int, seed: int) -> pa.Table:
    """The columns of ``get_movielens.SCHEMA`` for ratings that follow a film's quality and a user's taste in genres."""
    rng = np.random.default_rng(seed)
    # Few users and films, so that each is met often enough to be known; their ids reach up to the ends of the tables.
    user_ids = rng.choice(features.USERS, 80, replace=False).tolist()
    item_ids = rng.choice(features.ITEMS, 120, replace=False).tolist()
    users = {each: _user(each, rng) for each in user_ids}
    items = {each: _item(each, rng) for each in item_ids}
    quality = dict(zip(item_ids, rng.normal(size=len(item_ids)), strict=True))
    taste = {each: rng.normal(size=len(features.GENRES)) for each in user_ids}
    ratings = []
    for moment in range(rows):
        user, item = int(rng.choice(user_ids)), int(rng.choice(item_ids))
        liking = 1.2 * quality[item] + taste[user][list(items[item].genres)].mean() + 0.5 * rng.normal()
        stars = float(np.clip(np.round(3.5 + liking), 1, 5))
        ratings.append(features.Rating(user, item, stars, 880_000_000 + moment // 2))
    made = features.build_rows(users, items, ratings)
    return pa.Table.from_pylist(list(made), schema=get_movielens.SCHEMA)


def _user(user_id: int, rng: np.random.Generator) -> features.User:
    sizes = [features.CARDINALITY[name] for name in ("age_bucket", "gender", "occupation", "zip_prefix")]
    return features.User(user_id, *(int(rng.integers(0, size)) for size in sizes))


def _item(item_id: int, rng: np.random.Generator) -> features.Item:
    genres = rng.choice(len(features.GENRES), int(rng.integers(1, 4)), replace=False)
    year = int(rng.integers(0, features.CARDINALITY["year_bucket"]))
    return features.Item(item_id, year, tuple(int(genre) for genre in genres))
