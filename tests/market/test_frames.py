"""Bars from and to pandas."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest

from crypto_refactor import config
from crypto_refactor.errors import DataError, UnavailableError, UsageError
from crypto_refactor.market.bars import Bars, fill_gaps
from crypto_refactor.market.hours import as_hour, to_iso
from crypto_refactor.market.sources.csv_files import FilesSource, file_path, write_csv
from crypto_refactor.market.sources.factory import open_source, source_of
from crypto_refactor.market.sources.sample import SampleSource
from crypto_refactor.market.ticker import Ticker

BTC = Ticker("BTC", "USD")


@pytest.fixture
def bars(random_bars):
    return random_bars(30)


def assert_same(one, other):
    for name in ("opened", "open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


class TestFrames:
    def test_there_and_back_changes_nothing(self, bars):
        frame = bars.to_frame()
        assert str(frame.index[0]) == str(pd.Timestamp(to_iso(int(bars.opened[0]))))
        again = Bars.from_frame(frame, "BTC/USD")
        assert again.source == "frame"
        assert_same(again, bars)

    def test_other_zones_names_and_columns_are_read(self, bars):
        frame = bars.to_frame().tz_convert("America/Denver").rename(columns=str.upper)
        frame["TRADES"] = 3
        assert_same(Bars.from_frame(frame, BTC), bars)
        stamped = frame.reset_index(names="Timestamp")
        assert_same(Bars.from_frame(stamped, BTC), bars)

    @pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
    def test_stamps_of_any_unit(self, bars, unit):
        frame = bars.to_frame()
        frame.index = frame.index.as_unit(unit)
        assert_same(Bars.from_frame(frame, BTC), bars)

    @pytest.mark.parametrize(
        ("spoil", "said"),
        [
            (lambda f: f.drop(columns="close"), "has no column close"),
            (lambda f: f.tz_localize(None), "no time stamps with a time zone"),
            (lambda f: f.reset_index(drop=True), "no time stamps with a time zone"),
            (lambda f: f.shift(30, freq="min"), "not a full hour"),
            (lambda f: f.assign(volume="many"), "has more than numbers in its column volume"),
            (lambda f: f.assign(close=-1.0), "is not a bar"),
            (lambda f: f.iloc[::-1], "is not a bar"),
        ],
    )
    def test_what_is_no_bars_is_refused(self, bars, spoil, said):
        with pytest.raises(DataError, match=said):
            Bars.from_frame(spoil(bars.to_frame()), BTC)

    def test_forward_filled_bars_stay_what_they_are_and_no_source_offers_them(self, bars):
        holes = fill_gaps(bars.take(bars.opened % 7 != 3))
        assert holes.synthetic.any()
        again = Bars.from_frame(holes.to_frame(), BTC)
        np.testing.assert_array_equal(again.synthetic, holes.synthetic)
        offered = source_of(again, BTC).bars(BTC, 0, 10**7)
        assert_same(offered, bars.take(bars.opened % 7 != 3))

    def test_simulated_bars_keep_their_mark(self):
        bars = SampleSource().bars(BTC, 0, 10**7).rows(0, 50)
        frame = bars.to_frame()
        assert Bars.from_frame(frame, BTC).simulated
        assert Bars.from_frame(
            frame[10:].assign(trades=3)[["volume", "low", "high", "open", "close"]], BTC
        ).simulated
        assert not Bars.from_frame(frame, BTC, source="files").simulated

    @pytest.mark.parametrize("given", [None, [1.0], np.zeros((3, 5)), {"open": [1.0]}])
    def test_what_is_no_frame_is_refused(self, given):
        with pytest.raises(UsageError, match="came as"):
            Bars.from_frame(given, BTC)


class TestHours:
    @pytest.mark.parametrize(
        "stamp",
        [
            474_000,
            np.int64(474_000),
            to_iso(474_000),
            to_iso(474_000).removesuffix("Z"),
            datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=474_000),
            (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=474_000)).astimezone(
                timezone(timedelta(hours=-7))
            ),
            pd.Timestamp(474_000 * 3600, unit="s", tz="Europe/Berlin"),
        ],
    )
    def test_each_way_to_write_an_hour(self, stamp):
        assert as_hour(stamp) == 474_000

    @pytest.mark.parametrize(
        "stamp",
        [
            *("yesterday", "2024-01-01T00:30Z", pd.Timestamp("2024-01-01"), 1.5, None, pd.NaT),
            *("1969-12-31T23:00Z", "9999-01-01", -1, 10**12),
        ],
    )
    def test_anything_else_is_refused_with_what_to_write(self, stamp):
        with pytest.raises(UsageError) as caught:
            as_hour(stamp)
        assert "2024-05-01T13:00Z" in caught.value.expected


class TestSources:
    def test_a_name_a_folder_and_a_file(self, bars, tmp_path):
        write_csv(bars, file_path(tmp_path, bars.ticker))
        assert isinstance(source_of("sample", BTC), SampleSource)
        for folder in (tmp_path, str(tmp_path)):
            for source in (source_of(folder, bars.ticker), open_source(folder)):
                assert isinstance(source, FilesSource)
                assert_same(source.bars(bars.ticker, 0, 10**7), bars)
        assert_same(
            source_of(file_path(tmp_path, bars.ticker), bars.ticker).bars(bars.ticker, 0, 10**7), bars
        )

    def test_bars_and_frames(self, bars):
        ticker, frame = bars.ticker, bars.to_frame()
        for given in (bars, frame, {str(ticker): frame, "ETH/USD": frame}):
            source = source_of(given, ticker)
            assert_same(source.bars(ticker, 0, 10**7), bars)
            assert source.now(ticker) == int(bars.closed[-1])
            with pytest.raises(UnavailableError, match="not among the given bars"):
                source.bars(Ticker("DOGE", "USD"), 0, 10**7)
        assert source_of(source, ticker) is source

    def test_no_bars_at_all_are_refused(self, bars):
        for given in (bars.to_frame()[:0], Bars.from_frame(bars.to_frame().assign(synthetic=True), BTC)):
            with pytest.raises(DataError, match="There are no bars of BTC/USD"):
                source_of(given, BTC).now(BTC)

    def test_what_does_not_say_its_ticker_is_refused_where_there_is_more_than_one(self, bars, tmp_path):
        write_csv(bars, file_path(tmp_path, bars.ticker))
        for given in (bars.to_frame(), file_path(tmp_path, bars.ticker)):
            with pytest.raises(UsageError, match="does not say of which ticker"):
                source_of(given, None)
        for given in (bars, {"BTC/USD": bars.to_frame()}, tmp_path):
            assert_same(source_of(given, None).bars(bars.ticker, 0, 10**7), bars)

    @pytest.mark.parametrize("given", [5, [], {}, np.zeros(3)])
    def test_what_is_no_source_is_refused(self, given):
        with pytest.raises(UsageError, match="is not a source of bars"):
            source_of(given, BTC)
        with pytest.raises(UsageError, match="is not a source of bars"):
            open_source(given)

    def test_by_default_the_source_of_the_environment(self, monkeypatch):
        monkeypatch.setattr(config, "settings", lambda: config.EnvironmentSettings(source="sample"))
        assert isinstance(source_of(None, BTC), SampleSource)

    def test_what_does_not_exist_is_refused(self):
        with pytest.raises(UsageError, match="no folder or file of that name"):
            source_of("samples", BTC)
