"""Several files, a file that is there already, the clock, and clocks that are moved."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from crypto_refactor.errors import DataError, UsageError
from crypto_refactor.market.conversion import Reading, import_bars
from crypto_refactor.market.hours import parse_hour, to_iso
from crypto_refactor.market.sources.csv_files import read_csv
from crypto_refactor.market.ticker import Ticker

BTC = Ticker("BTC", "USD")
HEADER = "time,open,high,low,close,volume"
NOW = parse_hour("2026-01-01T00:00Z")


def line(stamp, price, volume=1.0):
    return f"{stamp},{price},{price},{price},{price},{volume}"


@pytest.fixture
def write(tmp_path):
    def make(name, *lines):
        path = tmp_path / name
        path.write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")
        return path

    return make


@pytest.fixture
def out(tmp_path):
    return tmp_path / "bars" / "btc_usd_1h.csv"


def imported(files, out, *, keep=None, now=NOW, **reading):
    return import_bars(files, BTC, out, Reading(**reading), keep=keep, now=now)


def hourly(first, count, price=100.0):
    start = parse_hour(first)
    return [line(to_iso(start + place), price + place) for place in range(count)]


def test_overlapping_pages_are_joined_and_the_repeated_rows_counted(write, out):
    pages = [
        write("1.csv", *hourly("2024-01-01T00:00Z", 5)),
        write("2.csv", *hourly("2024-01-01T00:00Z", 8)[3:]),
    ]
    result = imported(pages[::-1], out)
    assert (len(result.bars), result.repeated, result.already_there) == (8, 2, 0)
    assert read_csv(out, BTC).fingerprint() == result.bars.fingerprint()


def test_bars_that_are_there_already_stay(write, out):
    imported([write("1.csv", *hourly("2024-01-01T00:00Z", 5))], out)
    result = imported([write("2.csv", *hourly("2024-01-01T00:00Z", 8)[4:])], out)
    assert (len(result.bars), result.already_there, result.repeated) == (8, 5, 1)


@pytest.mark.parametrize(("keep", "price"), [("first", 101.0), ("last", 555.0)])
def test_two_different_bars_of_an_hour_are_refused_until_it_is_said_which_counts(write, out, keep, price):
    one = write("1.csv", *hourly("2024-01-01T00:00Z", 3))
    other = write("2.csv", line("2024-01-01T01:00:00Z", 555.0), *hourly("2024-01-01T00:00Z", 3)[2:])
    with pytest.raises(
        DataError, match=r"two bars of 2024-01-01T01:00:00Z differ: 101, .* and 555"
    ) as caught:
        imported([one, other], out)
    assert "--keep first" in caught.value.remedy
    assert not out.exists()
    assert imported([one, other], out, keep=keep).bars.close.tolist() == [100.0, price, 102.0]


def test_a_bar_that_is_there_already_is_the_first_of_two(write, out):
    imported([write("1.csv", *hourly("2024-01-01T00:00Z", 3))], out)
    newer = [write("2.csv", *hourly("2024-01-01T00:00Z", 3, price=500.0))]
    assert imported(newer, out, keep="first").bars.close.tolist() == [100.0, 101.0, 102.0]
    assert imported(newer, out, keep="last").bars.close.tolist() == [500.0, 501.0, 502.0]


def test_a_foreign_file_in_place_of_the_result_is_copied_beside_it_first(write, tmp_path):
    path = write("btc_usd_1h.csv", *hourly("2024-01-01T00:00Z", 3)[::-1])
    before = path.read_bytes()
    result = imported([path], path)
    assert result.original.read_bytes() == before
    assert len(read_csv(path, BTC)) == 3
    path.write_bytes(before)
    with pytest.raises(DataError, match=r"its copy .* cannot be written"):
        imported([path], path)
    assert path.read_bytes() == before


def test_a_foreign_file_that_is_not_named_is_never_replaced(write, tmp_path):
    there = write("btc_usd_1h.csv", *hourly("2024-01-01T00:00Z", 3))
    before = there.read_bytes()
    with pytest.raises(DataError, match="is no plain CSV") as caught:
        imported([write("2.csv", *hourly("2024-01-01T00:00Z", 3))], there)
    assert "move it away" in caught.value.remedy
    assert there.read_bytes() == before


def test_a_bar_that_is_still_running_is_left_out_and_named(write, out):
    result = imported(
        [write("1.csv", *hourly("2024-01-01T00:00Z", 4))], out, now=parse_hour("2024-01-01T02:00Z")
    )
    assert len(result.bars) == 2
    assert [text[:36] for text in result.left_out] == [
        "the bar stamped 2024-01-01T02:00:00Z",
        "the bar stamped 2024-01-01T03:00:00Z",
    ]


def test_stamps_beyond_the_clock_are_refused_as_local_time(write, out):
    with pytest.raises(DataError, match="stamps are not UTC") as caught:
        imported([write("1.csv", *hourly("2024-01-01T00:00Z", 6))], out, now=parse_hour("2024-01-01T02:00Z"))
    assert "--tz" in caught.value.remedy
    assert not out.exists()


def local_rows(zone, first, hours, form="%Y-%m-%d %H:%M:%S"):
    start = datetime.fromisoformat(first).replace(tzinfo=UTC)
    moments = (start + timedelta(hours=place) for place in range(hours))
    return [
        line(moment.astimezone(ZoneInfo(zone)).strftime(form), 100 + at) for at, moment in enumerate(moments)
    ]


MOVED = [
    ("America/New_York", "2023-10-25", "America/New_York"),
    ("America/New_York", "2023-03-01", "America/New_York"),
    ("Europe/Berlin", "2024-10-10", "Europe/Berlin"),
    ("Europe/Berlin", "2024-03-15", "Europe/Berlin"),
    ("Europe/London", "2024-03-15", "Europe/London"),
    ("Australia/Sydney", "2024-03-25", "Australia/Sydney"),
    ("Australia/Sydney", "2023-09-20", "Australia/Sydney"),
    ("America/Santiago", "2024-03-30", "America/Santiago"),
    ("Australia/Adelaide", "2024-03-30", "Asia/Kolkata"),
    ("Asia/Kathmandu", "2024-03-30", "Asia/Kathmandu"),
]


@pytest.mark.parametrize(("zone", "first", "named"), MOVED)
@pytest.mark.parametrize("newest_first", [False, True])
def test_local_time_is_refused_with_its_zone_and_converted_once_that_is_given(
    write, out, zone, first, named, newest_first
):
    rows = local_rows(zone, first, 600)
    path = write("1.csv", *(rows[::-1] if newest_first else rows))
    with pytest.raises(DataError, match="local time without an offset") as caught:
        imported([path], out)
    assert f"--tz {named}" in caught.value.remedy
    assert not out.exists()
    bars = imported([path], out, tz=ZoneInfo(zone)).bars
    start = parse_hour(first + "T00:00Z")
    assert bars.opened.tolist() == list(range(start, start + 600))
    assert bars.close.tolist() == [100.0 + at for at in range(600)]


def test_a_zone_that_does_not_fit_is_refused(write, out):
    path = write("1.csv", *local_rows("America/New_York", "2023-10-25", 600))
    with pytest.raises(DataError, match="clocks in Europe/London"):
        imported([path], out, tz=ZoneInfo("Europe/London"))


def test_an_hour_that_comes_twice_and_stands_once_is_refused(write, out):
    rows = list(
        {row.partition(",")[0]: row for row in local_rows("America/New_York", "2023-10-25", 600)}.values()
    )
    with pytest.raises(DataError, match="2023-11-05 01:00") as caught:
        imported([write("1.csv", *rows)], out, tz=ZoneInfo("America/New_York"))
    assert "remove that row" in caught.value.remedy


def test_the_skipped_hour_may_be_missing_where_somebody_says_that_stamps_are_utc(write, out):
    path = write("1.csv", *local_rows("America/New_York", "2023-03-01", 600))
    assert len(imported([path], out, tz=ZoneInfo("UTC")).bars) == 600


def test_an_hour_that_is_missing_on_any_other_day_is_only_a_gap(write, out):
    rows = hourly("2023-03-01T00:00Z", 600)
    rows = [row.replace("Z", "") for place, row in enumerate(rows) if place != 100]
    assert len(imported([write("1.csv", *rows)], out).bars) == 599


def test_a_zone_for_stamps_that_name_their_offset_is_a_contradiction(write, out):
    with pytest.raises(UsageError, match="names its offset"):
        imported([write("1.csv", *hourly("2024-01-01T00:00Z", 3))], out, tz=ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize(
    ("minutes", "said"),
    [
        (1, "1 minute"),
        (5, "5 minutes"),
        (30, "30 minutes"),
        (120, "2 hours"),
        (240, "4 hours"),
        (1440, "1 day"),
        (10080, "7 days"),
    ],
)
def test_bars_of_another_length_are_refused_by_that(write, out, minutes, said):
    start = parse_hour("2024-01-01T00:00Z") * 60
    rows = [line((start + minutes * place) * 60, 100.0) for place in range(40)]
    with pytest.raises(DataError, match=f"holds bars of {said}\\."):
        imported([write("1.csv", *rows)], out)


def test_a_row_that_is_no_bar_is_refused_and_named(write, out):
    rows = hourly("2024-01-01T00:00Z", 5)
    rows[2] = "2024-01-01T02:00:00Z,5,4,6,5,1"
    with pytest.raises(DataError, match="row 3 is not a bar: 2024-01-01T02:00:00Z, open 5, high 4"):
        imported([write("1.csv", *rows)], out)
