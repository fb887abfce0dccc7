from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from support.bars import empty_bars

from crypto_refactor import config
from crypto_refactor.errors import DataError, UnavailableError, UsageError
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.client import CryptoMarketDataClient
from crypto_refactor.market.hours import parse_hour
from crypto_refactor.market.sources.csv_files import FilesSource, write_csv
from crypto_refactor.market.sources.factory import SOURCES, open_source
from crypto_refactor.market.sources.sample import SampleSource
from crypto_refactor.market.ticker import Ticker

BTC = Ticker("BTC", "USD")
SAMPLE = CryptoMarketDataClient(SampleSource())
END = parse_hour("2025-01-01T00:00Z")


@pytest.fixture
def environment(monkeypatch):
    """Set CRYPTO_* variables and forget the settings read before."""
    for name in ("CRYPTO_SOURCE", "CRYPTO_DATA_DIR", "CRYPTO_STATE_DIR", "CRYPTO_ALPACA_DATA_URL"):
        monkeypatch.delenv(name, raising=False)

    def set_variables(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(f"CRYPTO_{name}", str(value))
        config.settings.cache_clear()

    set_variables()
    yield set_variables
    config.settings.cache_clear()


def test_the_last_hours_up_to_the_sources_now_are_returned():
    bars = SAMPLE.get_historical_bars("btc/usd", 240)
    assert len(bars) == 240
    assert bars.closed[-1] == END
    assert bars.simulated
    assert bars.fingerprint() == SAMPLE.get_historical_bars(BTC, 240).fingerprint()


def test_an_end_makes_the_answer_repeatable():
    bars = SAMPLE.get_historical_bars("BTC/USD", 24, end=END - 100)
    assert (bars.opened[0], bars.closed[-1]) == (END - 124, END - 100)


@pytest.mark.parametrize(
    "end", [END - 100, "2024-12-27T20:00Z", datetime(2024, 12, 27, 13, tzinfo=timezone(timedelta(hours=-7)))]
)
def test_start_and_end_are_written_as_people_write_them(end):
    wanted = SAMPLE.get_historical_bars("BTC/USD", 24, end=END - 100)
    for start in (END - 124, "2024-12-26T20:00", datetime(2024, 12, 26, 20, tzinfo=UTC)):
        bars = SAMPLE.get_historical_bars("BTC/USD", start=start, end=end)
        assert bars.fingerprint() == wanted.fingerprint()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "Neither hours nor start was given"),
        ({"hours": 5, "start": END - 5}, "Both hours and start were given"),
        ({"start": END}, "would start at 2025-01-01T00:00:00Z and end at 2025-01-01"),
        ({"hours": "5"}, "--hours is '5'"),
        ({"hours": 2.5}, "--hours is 2.5"),
        ({"start": "soon"}, "'soon' is not a full hour"),
        ({"hours": 5, "end": datetime(2024, 12, 1)}, "has no time zone"),  # noqa: DTZ001 - on purpose
    ],
)
def test_a_range_that_makes_no_sense_is_refused(asked, said):
    with pytest.raises(UsageError, match=said):
        SAMPLE.get_historical_bars("BTC/USD", **asked)


def test_any_source_that_says_its_tickers(random_bars):
    bars = random_bars(30)
    for source in (bars, {"BTC/USD": bars.to_frame()}):
        found = CryptoMarketDataClient(source).get_historical_bars(BTC, 10)
        assert found.to_frame().equals(bars.to_frame()[-10:])
    assert CryptoMarketDataClient("sample").get_latest_price("btc/usd") == SAMPLE.get_latest_price(BTC)
    with pytest.raises(UsageError, match="does not say of which ticker"):
        CryptoMarketDataClient(bars.to_frame())


@pytest.mark.parametrize("hours", [0, -5])
def test_less_than_one_hour_is_a_usage_error(hours):
    with pytest.raises(UsageError, match=str(hours)):
        SAMPLE.get_historical_bars("BTC/USD", hours)


def test_a_wrong_ticker_and_a_ticker_not_offered_are_told_apart():
    with pytest.raises(UsageError):
        SAMPLE.get_historical_bars("BTCUSD", 24)
    with pytest.raises(UnavailableError):
        SAMPLE.get_latest_price("DOGE/USD")


def test_no_bars_at_all_are_an_error_and_never_an_empty_answer():
    with pytest.raises(DataError, match="no bars of BTC/USD between 1970"):
        SAMPLE.get_historical_bars("BTC/USD", 24, end=100)


def test_the_latest_price_is_a_number():
    price = SAMPLE.get_latest_price("BTC/USD")
    assert price == SAMPLE.get_historical_bars("BTC/USD", 1).close[-1]
    assert isinstance(price, float)


def hand_made(source):
    return Bars(
        ticker=BTC,
        source=source,
        opened=parse_hour("2024-05-01T00:00Z") + np.array([0, 1, 4]),
        open=np.array([100.0, 110, 120]),
        high=np.array([112.0, 125, 130]),
        low=np.array([95.0, 105, 118]),
        close=np.array([110.0, 120, 125]),
        volume=np.array([1.5, 2.5, 0.0]),
    )


def test_a_summary_tells_what_the_bars_hold():
    text = SAMPLE.format_historical_summary(hand_made("files"))
    for part in (
        "BTC/USD: 3 hourly bars from files",
        "2024-05-01T00:00:00Z",
        "2024-05-01T05:00:00Z",
        "open      100 USD",
        "close     125 USD (+25.00 %)",
        "high      130 USD",
        "low       95 USD",
        "volume    4 BTC",
        "in gaps   2 h",
    ):
        assert part in text
    assert "SIMULATED" not in text
    assert "SIMULATED" in SAMPLE.format_historical_summary(hand_made("sample")).splitlines()[0]


def test_a_summary_shows_the_last_bars_and_survives_few_or_none():
    lines = SAMPLE.format_historical_summary(SAMPLE.get_historical_bars(BTC, 100)).splitlines()
    assert lines[-1].lstrip().startswith("2024-12-31T23:00:00Z")
    assert len({len(line) for line in lines[-6:]}) == 1  # the columns line up
    assert "1 hourly bars" in SAMPLE.format_historical_summary(hand_made("files").prefix(1))
    assert "0 hourly bars" in SAMPLE.format_historical_summary(empty_bars(BTC, "files"))


@pytest.mark.parametrize(
    ("utc", "local", "offset"),
    [
        ("2024-01-15T12:00Z", "2024-01-15 05:00 MST", -7),
        ("2024-07-15T12:00Z", "2024-07-15 06:00 MDT", -6),
        ("2024-03-10T08:59Z", "2024-03-10 01:59 MST", -7),
        ("2024-03-10T09:00Z", "2024-03-10 03:00 MDT", -6),
        ("2024-11-03T07:30Z", "2024-11-03 01:30 MDT", -6),
        ("2024-11-03T08:30Z", "2024-11-03 01:30 MST", -7),
    ],
)
def test_mountain_time_follows_both_changes_of_the_clock(utc, local, offset):
    stamp = SAMPLE.to_mountain_time(utc)
    assert stamp.strftime("%Y-%m-%d %H:%M %Z") == local
    assert stamp.utcoffset() == timedelta(hours=offset)
    # In UTC, because datetimes of different zones never compare equal within a repeated hour (PEP 495).
    assert stamp.astimezone(UTC) == datetime.fromisoformat(utc)


def test_mountain_time_takes_hours_texts_and_aware_datetimes():
    hour = parse_hour("2024-07-15T12:00Z")
    instant = datetime(2024, 7, 15, 12, tzinfo=UTC)
    for stamp in (
        hour,
        np.int64(hour),
        "2024-07-15T12:00:00Z",
        "2024-07-15 12:00",
        instant,
        instant.astimezone(timezone(timedelta(hours=9))),
    ):
        local = SAMPLE.to_mountain_time(stamp)
        assert (local, local.hour) == (instant, 6)


@pytest.mark.parametrize("stamp", [datetime(2024, 7, 15, 12), "noon", "", 1_714_568_400_000])  # noqa: DTZ001
def test_what_is_no_certain_instant_is_a_usage_error(stamp):
    with pytest.raises(UsageError):
        SAMPLE.to_mountain_time(stamp)


def test_sources_are_opened_by_name(environment, tmp_path):
    assert isinstance(open_source("sample"), SampleSource)
    files = open_source("files", data_dir=tmp_path)
    assert isinstance(files, FilesSource)
    assert files.data_dir == tmp_path
    environment(STATE_DIR=tmp_path / "state")
    assert open_source("alpaca").name == "alpaca"
    assert [open_source(name, data_dir=tmp_path).name for name in SOURCES] == list(SOURCES)
    assert not (tmp_path / "state").exists()  # opening touches nothing


def test_files_take_their_folder_from_the_settings_or_say_how_to_give_one(environment, tmp_path):
    with pytest.raises(UsageError) as caught:
        open_source("files")
    assert "--data-dir or CRYPTO_DATA_DIR" in caught.value.remedy
    environment(DATA_DIR=tmp_path)
    assert open_source("files").data_dir == tmp_path
    assert open_source("files", data_dir=tmp_path / "other").data_dir == tmp_path / "other"


@pytest.mark.parametrize("name", ["binance", "", "Sample"])
def test_an_unknown_source_is_a_usage_error_that_lists_the_three(name):
    with pytest.raises(UsageError) as caught:
        open_source(name)
    assert caught.value.expected == "one of alpaca, files, sample."


def test_without_a_source_the_client_uses_the_one_of_the_settings(environment, tmp_path, random_bars):
    environment(SOURCE="sample")
    assert CryptoMarketDataClient().source.name == "sample"
    write_csv(random_bars(50), tmp_path / "btc_usd_1h.csv")
    environment(SOURCE="files", DATA_DIR=tmp_path)
    assert len(CryptoMarketDataClient().get_historical_bars("BTC/USD", 24)) == 24


def test_importing_the_market_room_imports_nothing_heavy(tmp_path):
    code = (
        "import sys; from crypto_refactor.market import bars, client, quality; "
        "from crypto_refactor.market.sources import csv_files, csv_parser, factory, sample, simulator; "
        "print({'pandas', 'alpaca', 'pydantic', 'pydantic_settings', 'scipy', 'requests'} & set(sys.modules))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert run.stdout.strip() == "set()"
