"""The MovieLens columns: what each row may know, and how the table is cut."""

from __future__ import annotations

import random

import movielens_features as features
import pytest
from movielens_features import Item, Rating, User


def users(count: int) -> dict[int, User]:
    return {number: User(number, 0, 0, 0, 0) for number in range(count)}


def items(count: int) -> dict[int, Item]:
    return {number: Item(number, 0, (number % 19, (number + 1) % 19)) for number in range(count)}


def random_ratings(seed: int, count: int = 400) -> list[Rating]:
    """Few users, films and seconds, so that ties and repeats are common."""
    chance = random.Random(seed)
    return [
        Rating(chance.randrange(6), chance.randrange(30), float(chance.randint(1, 5)), chance.randrange(count // 3))
        for _ in range(count)
    ]


@pytest.mark.parametrize("seed", [0, 1])
def test_rows_know_exactly_the_ratings_of_earlier_seconds(seed: int) -> None:
    ratings = random_ratings(seed)
    for row in features.build_rows(users(6), items(30), ratings, history_length=5):
        # Quadratic, straight from the definition.
        earlier = [r for r in features.in_time_order(ratings) if r.timestamp < row["timestamp"]]
        mine = [r for r in earlier if r.user_id == row["user_id"]]
        liked = [r.item_id for r in reversed(mine) if r.stars >= 4]
        disliked = [r.item_id for r in reversed(mine) if r.stars < 4]
        assert row["hist__item_id"] == liked[:5]
        assert row["hist__main_genre"] == [film % 19 for film in liked[:5]]
        assert row["disliked"] == disliked[:5]
        share = (len(liked) + 5 * 0.55) / (len(mine) + 5)
        assert row["user_likes"] == pytest.approx(features.standardised(share, features.LIKED_BY_USER))
        of_item = [r for r in earlier if r.item_id == row["item_id"]]
        share = (sum(r.stars >= 4 for r in of_item) + 5 * 0.4) / (len(of_item) + 5)
        assert row["item_likes"] == pytest.approx(features.standardised(share, features.LIKES_OF_ITEM))


def test_rows_do_not_depend_on_later_ratings() -> None:
    ratings = features.in_time_order(random_ratings(2))
    half = ratings[:200]
    whole_rows = list(features.build_rows(users(6), items(30), ratings))
    rows = list(features.build_rows(users(6), items(30), half))
    assert whole_rows[: len(rows)] == rows


def test_row_order_does_not_depend_on_input_order() -> None:
    ratings = random_ratings(3)
    shuffled = random.Random(0).sample(ratings, len(ratings))
    rows = list(features.build_rows(users(6), items(30), ratings))
    again = list(features.build_rows(users(6), items(30), shuffled))
    key = ("row_id", "timestamp", "user_id", "item_id", "hist__item_id")
    assert [[row[name] for name in key] for row in rows] == [[row[name] for name in key] for row in again]
    assert [row["row_id"] for row in rows] == list(range(len(rows)))


def test_label_is_four_stars_or_more() -> None:
    ratings = [Rating(0, number, float(stars), number) for number, stars in enumerate([1, 2, 3, 4, 5])]
    assert [row["label"] for row in features.build_rows(users(1), items(5), ratings)] == [0, 0, 0, 1, 1]


def test_split_by_time_cuts_at_the_shares() -> None:
    assert features.split_by_time(list(range(100))) == [range(0, 80), range(80, 90), range(90, 100)]


def test_split_by_time_keeps_a_second_together() -> None:
    timestamps = [0] * 7 + [1] * 2 + [2]
    train, valid, test = features.split_by_time(timestamps, (0.5, 0.3, 0.2))
    assert (train, valid, test) == (range(0, 7), range(7, 9), range(9, 10))


def test_split_by_time_of_one_second_leaves_the_rest_empty() -> None:
    assert features.split_by_time([5, 5, 5]) == [range(0, 3), range(3, 3), range(3, 3)]


@pytest.mark.parametrize(
    ("text", "expected"), [("1922", 1), ("1939", 1), ("1940", 2), ("1998", 14), ("unkonwn", 0), ("V", 0), ("", 0)]
)
def test_year_bucket(text: str, expected: int) -> None:
    assert features.year_bucket(text) == expected


@pytest.mark.parametrize(("code", "expected"), [("05201", 0), ("94043", 9), ("V5A2B", 10), ("", 10)])
def test_zip_prefix(code: str, expected: int) -> None:
    assert features.zip_prefix(code) == expected


def test_parse_user() -> None:
    assert features.parse_user(["943", "17", "F", "writer", "97229"]) == User(942, 0, 1, 20, 9)
    assert features.parse_user(["1", "56", "M", "administrator", "T8H1N"]) == User(0, 6, 0, 0, 10)


def test_parse_item() -> None:
    assert features.parse_item(["1", "Toy Story", "1995", "Animation Children's Comedy"]) == Item(0, 11, (3, 4, 5))


def test_every_bucket_fits_its_cardinality() -> None:
    assert features.bucket(200, features.AGE_STARTS) == features.CARDINALITY["age_bucket"] - 1
    assert features.year_bucket("2100") == features.CARDINALITY["year_bucket"] - 1
