from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_refactor.errors import UsageError
from crypto_refactor.market.hours import (
    floor_hour,
    parse_hour,
    parse_instant,
    to_datetime,
    to_iso,
    to_local_text,
    zone,
)

HOURS = st.integers(min_value=-600_000, max_value=2_000_000)


def test_the_epoch_is_hour_zero():
    assert to_iso(0) == "1970-01-01T00:00:00Z"
    assert parse_hour("1970-01-01T00:00Z") == 0
    assert parse_hour("1970-01-02T01:00Z") == 25


@given(HOURS)
def test_an_hour_survives_being_written_and_read(hour):
    assert parse_hour(to_iso(hour)) == hour
    assert floor_hour(to_datetime(hour)) == hour


@given(HOURS, st.integers(min_value=0, max_value=3599))
def test_floor_hour_is_the_last_full_hour(hour, seconds):
    assert floor_hour(to_datetime(hour) + timedelta(seconds=seconds)) == hour


def test_floor_hour_reads_other_zones_as_the_same_instant():
    assert floor_hour(datetime(1970, 1, 1, 2, 59, tzinfo=timezone(timedelta(hours=2)))) == 0


@pytest.mark.parametrize(
    "text",
    [
        "2024-05-01T13:00Z",
        "2024-05-01 13:00",
        "2024-05-01T13",
        " 2024-05-01T13:00:00+00:00 ",
        "2024-05-01T15:00:00+02:00",
        "2024-05-01T15:00+0200",
        "2024-05-01T15:00+02",
        "2024-05-01T15:00:00+02:00:00",
        "2024-05-01T07:00:00-06:00",
        "2024-05-01T18:30:00+05:30",
        "2024-05-01T13:00:00.000Z",
    ],
)
def test_every_spelling_of_an_instant_reads_the_same(text):
    assert parse_instant(text) == datetime(2024, 5, 1, 13, tzinfo=UTC)
    assert to_iso(parse_hour(text)) == "2024-05-01T13:00:00Z"


@pytest.mark.parametrize("text", ["2024-05-01T13:30Z", "2024-05-01T13:00:01", "2024-05-01T13:00+05:30"])
def test_an_instant_between_two_hours_is_refused(text):
    with pytest.raises(ValueError, match="between two hours"):
        parse_hour(text)


@pytest.mark.parametrize("text", ["", "now", "NaT", "2024-13-01", "1714568400", "0001-01-01T00:00+05:00"])
def test_what_is_no_instant_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 - the message is the standard library's
        parse_hour(text)


def test_a_naive_datetime_cannot_be_floored():
    with pytest.raises(TypeError):
        floor_hour(datetime(2024, 5, 1))  # noqa: DTZ001


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "America"])
def test_an_unknown_zone_is_a_usage_error(name):
    with pytest.raises(UsageError, match="time zone"):
        zone(name)


@pytest.mark.parametrize(
    ("utc", "local"),
    [
        ("2024-03-10T08:00Z", "2024-03-10 01:00 MST"),
        ("2024-03-10T09:00Z", "2024-03-10 03:00 MDT"),  # 02:00 does not exist that day
        ("2024-11-03T07:00Z", "2024-11-03 01:00 MDT"),
        ("2024-11-03T08:00Z", "2024-11-03 01:00 MST"),  # 01:00 comes twice
        ("2024-11-03T09:00Z", "2024-11-03 02:00 MST"),
    ],
)
def test_mountain_time_follows_both_changes_of_the_clock(utc, local):
    assert to_local_text(parse_hour(utc), zone("America/Denver")) == local
