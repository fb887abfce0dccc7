"""The stamps of a file: bars that have not closed, local time, and files that as a whole are of another kind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from crypto_refactor.backtest.external.target_file import read_targets
from crypto_refactor.errors import DataError
from crypto_refactor.market.hours import parse_hour, to_iso
from crypto_refactor.market.self_checks import history_checks
from crypto_refactor.market.sources.csv_files import FilesSource, read_csv
from crypto_refactor.market.ticker import Ticker

BTC = Ticker("BTC", "USD")
HEADER = "timestamp,open,high,low,close,volume"
FIRST = parse_hour("2024-05-01T00:00Z")


def line(stamp, price=100.0):
    return f"{stamp},{price},{price},{price},{price},1"


@pytest.fixture
def write(tmp_path):
    def make(*rows, header=HEADER):
        path = tmp_path / "btc_usd_1h.csv"
        path.write_text("".join(row + "\n" for row in (header, *rows)), encoding="utf-8")
        return path

    return make


class Clock:
    def __init__(self, text):
        self.now = datetime.fromisoformat(text)

    def __call__(self):
        return self.now


def hourly(count):
    return [line(to_iso(FIRST + place), 100 + place) for place in range(count)]


class TestClock:
    def test_a_bar_that_is_still_running_is_not_used_and_is_named_once(self, write, caplog):
        source = FilesSource(write(*hourly(5)).parent, clock=Clock("2024-05-01T04:59:59Z"))
        assert source.now(BTC) == FIRST + 4
        assert source.bars(BTC, 0, FIRST + 100).close.tolist() == [100, 101, 102, 103]
        assert source.latest_price(BTC).price == 103
        (text,) = source.left_out(BTC)
        assert "2024-05-01T04:00:00Z closes at 2024-05-01T05:00:00Z" in text
        assert caplog.text.count("2024-05-01T04:00:00Z") == 1
        assert source.notes() == (f"BTC/USD: {text}",)

    def test_it_is_used_once_it_has_closed(self, write):
        clock = Clock("2024-05-01T04:30:00Z")
        source = FilesSource(write(*hourly(5)).parent, clock=clock)
        assert source.now(BTC) == FIRST + 4
        clock.now += timedelta(minutes=30)
        assert source.now(BTC) == FIRST + 5
        assert source.left_out(BTC) == ()

    def test_bars_that_close_hour_by_hour_are_each_used(self, write):
        clock = Clock("2024-05-01T03:30:00Z")
        source = FilesSource(write(*hourly(5)).parent, clock=clock)
        seen = []
        for _ in range(3):
            seen.append((source.now(BTC) - FIRST, len(source.left_out(BTC))))
            clock.now += timedelta(hours=1)
        assert seen == [(3, 2), (4, 1), (5, 0)]

    def test_stamps_more_than_an_hour_ahead_are_an_error(self, write):
        path = write(*hourly(6))
        assert FilesSource(path.parent, clock=Clock("2024-05-01T04:00:00Z")).now(BTC) == FIRST + 4
        with pytest.raises(DataError, match="stamps are not UTC") as caught:
            FilesSource(path.parent, clock=Clock("2024-05-01T03:59:59Z")).now(BTC)
        assert (
            f"crypto-refactor import {path} --ticker BTC/USD --data-dir {path.parent} --tz"
            in caught.value.remedy
        )

    def test_a_file_of_nothing_but_a_running_bar_has_no_bars(self, write):
        source = FilesSource(write(*hourly(1)).parent, clock=Clock("2024-05-01T00:30:00Z"))
        with pytest.raises(DataError, match="no bar that has closed"):
            source.now(BTC)


def local_rows(zone, first, count):
    start = datetime.fromisoformat(first).replace(tzinfo=UTC)
    moments = (start + timedelta(hours=place) for place in range(count))
    return [
        line(f"{moment.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M:%S}", 100 + at)
        for at, moment in enumerate(moments)
    ]


class TestLocalTime:
    @pytest.mark.parametrize(
        ("zone", "first", "hour"),
        [
            ("America/New_York", "2023-10-20", "2023-11-05 01:00"),
            ("Europe/Berlin", "2023-10-20", "2023-10-29 02:00"),
            ("Europe/London", "2023-10-20", "2023-10-29 01:00"),
            ("Australia/Sydney", "2024-03-25", "2024-04-07 02:00"),
            ("America/Santiago", "2024-03-25", "2024-04-06 23:00"),
        ],
    )
    def test_an_hour_that_stands_twice_when_clocks_go_back_is_a_fault_of_the_file(
        self, write, zone, first, hour
    ):
        path = write(*local_rows(zone, first, 600))
        with pytest.raises(DataError) as caught:
            read_csv(path, BTC)
        error = caught.value
        assert f"{hour} stands twice, on the day when clocks go back in {zone}" in error.what
        assert error.what.endswith("local time without an offset?")
        assert (
            f"crypto-refactor import {path} --ticker BTC/USD --data-dir {path.parent} --tz {zone}"
            in error.remedy
        )
        assert "correct or remove that line" not in error.remedy

    @pytest.mark.parametrize(
        ("zone", "first", "hour"),
        [
            ("America/New_York", "2023-03-01", "2023-03-12 02:00"),
            ("Europe/Berlin", "2023-03-10", "2023-03-26 02:00"),
            ("Australia/Sydney", "2023-09-20", "2023-10-01 02:00"),
            ("America/Santiago", "2023-08-20", "2023-09-03 00:00"),
        ],
    )
    def test_the_skipped_hour_is_hinted_at_and_fails_the_check_of_history(
        self, write, caplog, zone, first, hour
    ):
        path = write(*local_rows(zone, first, 600))
        source = FilesSource(path.parent)
        end = source.now(BTC)
        (doubt,) = source.doubts(BTC)
        assert f"{hour} is missing, on a day when clocks go forward in {zone}" in doubt
        assert "crypto-refactor import" in doubt
        assert doubt in caplog.text
        assert doubt in source.notes()[0]
        assert source.left_out(BTC) == ()
        failed = [check.what for check in history_checks(source, BTC, 500, end) if not check.holds]
        assert failed == ["stamps are UTC opens of closed bars"]

    def test_years_of_local_time_without_the_repeated_hours_are_noticed(self, write):
        rows = list(
            {
                row.partition(",")[0]: row for row in local_rows("America/Chicago", "2021-01-01", 24 * 900)
            }.values()
        )
        del rows[5000:5003]  # and an exchange that stood still
        source = FilesSource(write(*rows).parent)
        source.now(BTC)
        (doubt,) = source.doubts(BTC)
        assert "2021-03-14 02:00, 2022-03-13 02:00, 2023-03-12 02:00 are missing" in doubt

    @pytest.mark.parametrize("missing", [[100], [268, 300, 301, 400], [270]])
    def test_gaps_of_other_hours_are_no_clock(self, write, missing):
        rows = [
            line(to_iso(parse_hour("2023-03-01T00:00Z") + place).removesuffix("Z"))
            for place in range(600)
            if place not in missing
        ]
        source = FilesSource(write(*rows).parent)
        source.now(BTC)
        assert source.doubts(BTC) == ()

    def test_a_gap_where_clocks_change_is_only_a_gap_where_stamps_name_their_offset(self, write):
        rows = [line(to_iso(parse_hour("2023-03-01T00:00Z") + place)) for place in range(600) if place != 266]
        source = FilesSource(write(*rows).parent)
        source.now(BTC)
        assert source.doubts(BTC) == ()

    @pytest.mark.parametrize(("zone", "minute"), [("Asia/Kolkata", 30), ("Asia/Kathmandu", 45)])
    def test_stamps_at_half_hours_are_a_fault_of_the_file(self, write, zone, minute):
        with pytest.raises(
            DataError, match=f"every stamp stands at minute {minute}, as full hours UTC do in {zone}"
        ) as caught:
            read_csv(write(*local_rows(zone, "2023-03-01", 50)), BTC)
        assert f"--tz {zone}" in caught.value.remedy

    @pytest.mark.parametrize("stamp", ["0001-01-01 00:30:00", "9999-12-31 23:30:00", "20240101T0030"])
    def test_half_hours_of_any_year_and_spelling_are_refused(self, write, stamp):
        with pytest.raises(DataError, match="every stamp stands at minute 30"):
            read_csv(write(line(stamp)), BTC)

    def test_stamps_of_all_centuries_are_not_searched_for_clocks(self, write):
        rows = [line(f"{year:04}-01-01 0{hour}:00:00") for year in (1, 9998) for hour in (0, 2)]
        source = FilesSource(write(*rows[:2]).parent)
        source.now(BTC)
        assert source.doubts(BTC) == ()
        with pytest.raises(DataError, match="not UTC"):
            FilesSource(write(*rows).parent).now(BTC)

    def test_a_repeated_hour_on_any_other_day_is_a_repeated_hour(self, write):
        with pytest.raises(DataError, match="line 3") as caught:
            read_csv(write(line("2024-05-01 01:00:00"), line("2024-05-01 01:00:00", 7.0)), BTC)
        assert "once" in caught.value.expected

    def test_the_same_row_twice_when_clocks_go_back_is_an_overlap(self, write):
        rows = [line(f"2023-11-05 0{hour}:00:00") for hour in (0, 1, 1, 2)]
        with pytest.raises(DataError) as caught:
            read_csv(write(*rows), BTC)
        assert "clocks" not in caught.value.what
        assert "crypto-refactor import" in caught.value.remedy


FOREIGN = {
    "another header": ("time,open,high,low,close,volume", [line(to_iso(FIRST))]),
    "one more column": (HEADER + ",trades", [line(to_iso(FIRST)) + ",7"]),
    "quotes": (",".join(f'"{name}"' for name in HEADER.split(",")), ['"2024"']),
    "semicolons": (HEADER.replace(",", ";"), [line(to_iso(FIRST)).replace(",", ";")]),
    "no header": (line(str(FIRST * 3600)), [line(str(FIRST * 3600 + 3600))]),
    "seconds": (HEADER, [line(str(FIRST * 3600)), line(str(FIRST * 3600 + 3600))]),
    "the newest row first": (HEADER, hourly(4)[::-1]),
    "pages in the wrong order": (HEADER, [*hourly(6)[3:], *hourly(6)[:3]]),
    "overlapping pages": (HEADER, [*hourly(4), *hourly(6)[3:]]),
    "a column without a name": (HEADER, [line(to_iso(FIRST)) + ",7"]),
    "minutes": (HEADER, [line(f"2024-05-01T00:{minute:02}:00Z") for minute in range(0, 60, 5)]),
    "days first": (HEADER, [line("01.05.2024 00:00"), line("01.05.2024 01:00")]),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_of_another_kind_is_to_be_converted_as_a_whole(write, name):
    header, rows = FOREIGN[name]
    path = write(*rows, header=header)
    with pytest.raises(DataError) as caught:
        read_csv(path, BTC)
    command = f"`crypto-refactor import {path} --ticker BTC/USD --data-dir {path.parent}"
    assert caught.value.remedy.startswith(f"convert the whole file: {command}")
    assert "remove that line" not in caught.value.remedy


def test_one_bad_line_of_a_good_file_is_a_matter_of_that_line(write):
    rows = hourly(6)
    rows[3] = rows[3].replace("103.0", "nan").replace("103", "nan")
    with pytest.raises(DataError, match="line 5") as caught:
        read_csv(write(*rows), BTC)
    assert caught.value.remedy.startswith("correct or remove that line")


@pytest.mark.parametrize("text", ["", "date,side\n2024-06-01T00:00Z,1\n"])
def test_targets_without_their_header_are_told_the_first_line(tmp_path, text):
    path = tmp_path / "targets.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match="line 1") as caught:
        read_targets(path)
    assert caught.value.remedy == "write made_at,target as the first line."


def test_targets_of_a_header_alone_are_told_how_many_rows_are_needed(tmp_path):
    path = tmp_path / "targets.csv"
    path.write_text("made_at,target\n", encoding="utf-8")
    with pytest.raises(DataError, match="too few rows") as caught:
        read_targets(path)
    assert caught.value.remedy == "write at least 2 below the header."


def test_a_path_with_spaces_is_quoted_in_the_remedy(tmp_path):
    folder = tmp_path / "my bars"
    folder.mkdir()
    path = folder / "btc_usd_1h.csv"
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_csv(path, BTC)
    assert f"import '{path}' --ticker BTC/USD --data-dir '{folder}'" in caught.value.remedy
