"""Folders of an exchange's own: what is kept, revised, and refused."""

from __future__ import annotations

import json
import threading
from datetime import timedelta

import pytest
from support.played_venue import FakeExchange, row

from crypto_refactor.errors import DataError, SourceFailedError
from crypto_refactor.market.hours import to_datetime
from crypto_refactor.market.sources.csv_files import FilesSource, read_csv, write_csv
from crypto_refactor.market.sources.factory import open_source, source_of
from crypto_refactor.market.sources.folder_source import claim_folder, source_option, venue_of
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.market.venues import Venue, download

BTC = Ticker("BTC", "USD")
NOW = 477_000


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "kraken"


def venue(exchange, now=NOW):
    return Venue(exchange, clock=lambda: to_datetime(now) + timedelta(minutes=5), sleep=lambda _: None)


def test_the_file_holds_what_was_received_and_names_its_source(folder):
    done = download(venue(FakeExchange(range(NOW - 100, NOW))), BTC, folder, hours=50)
    assert len(done.bars) == len(done.received) == 50
    source = open_source("files", data_dir=folder)
    assert source.name == "files:kraken"
    bars = source.bars(BTC, 0, NOW)
    assert bars.source == "files:kraken"
    assert bars.fingerprint() == done.bars.fingerprint()
    assert json.loads((folder / "source.json").read_text()) == {"schema": 1, "source": "kraken"}


def test_bars_of_two_venues_are_never_the_same(folder, tmp_path):
    exchanges = [FakeExchange(range(NOW - 9, NOW), name=name) for name in ("kraken", "binance")]
    prints = {
        download(venue(each), BTC, tmp_path / each.name, hours=9).bars.fingerprint() for each in exchanges
    }
    plain = read_csv(tmp_path / "kraken" / "btc_usd_1h.csv", BTC)
    write_csv(plain, tmp_path / "unnamed" / "btc_usd_1h.csv")
    unnamed = read_csv(tmp_path / "unnamed" / "btc_usd_1h.csv", BTC)
    assert unnamed.source == "files"
    assert len(prints | {unnamed.fingerprint()}) == 3


def test_a_single_file_keeps_the_name_of_its_folder(folder):
    download(venue(FakeExchange(range(NOW - 9, NOW))), BTC, folder, hours=9)
    assert source_of(folder / "btc_usd_1h.csv", BTC).name == "files:kraken"


def test_bars_that_were_there_stay_and_revised_ones_are_counted(folder):
    download(venue(FakeExchange(range(NOW - 10, NOW))), BTC, folder, hours=10)
    exchange = FakeExchange(range(NOW - 3, NOW + 5))
    exchange.given[NOW - 2] = row(NOW - 2, 200.0)
    done = download(venue(exchange, NOW + 5), BTC, folder, hours=8)
    assert done.bars.opened.tolist() == list(range(NOW - 10, NOW + 5))
    assert (done.already_there, done.revised) == (7, 1)
    assert read_csv(done.path, BTC).open[8] == 200.0


def test_what_fails_midway_leaves_the_file_as_it_was(folder):
    done = download(venue(FakeExchange(range(NOW - 10, NOW))), BTC, folder, hours=10)
    before = done.path.read_bytes()
    busy = SourceFailedError("busy.", expected="x.", remedy="y.")
    exchange = FakeExchange(range(NOW - 40, NOW), faults=[None, None, *[busy] * 6])
    with pytest.raises(SourceFailedError):
        download(venue(exchange), BTC, folder, hours=40)
    assert done.path.read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == ["btc_usd_1h.csv", "source.json"]


def test_a_damaged_file_is_refused_and_kept(folder):
    path = download(venue(FakeExchange(range(NOW - 10, NOW))), BTC, folder, hours=10).path
    path.write_text(path.read_text()[:-7])
    before = path.read_bytes()
    with pytest.raises(DataError, match="line"):
        download(venue(FakeExchange(range(NOW - 10, NOW))), BTC, folder, hours=10)
    assert path.read_bytes() == before


# One source a folder


def test_a_folder_of_another_venue_is_refused_before_anything_is_asked(folder):
    claim_folder(folder, "binance")
    exchange = FakeExchange(range(NOW - 10, NOW))
    with pytest.raises(DataError, match="holds bars of binance") as caught:
        download(venue(exchange), BTC, folder, hours=10)
    assert "--data-dir" in caught.value.remedy
    assert exchange.asked == []


def test_a_folder_whose_bars_nothing_names_is_refused(folder, random_bars):
    write_csv(random_bars(20), folder / "eth_usd_1h.csv")
    with pytest.raises(DataError, match="whose venue nothing names"):
        download(venue(FakeExchange(range(NOW - 10, NOW))), BTC, folder, hours=10)
    assert venue_of(folder) is None


def test_bars_of_alpaca_do_not_get_into_a_venues_folder(folder, random_bars):
    claim_folder(folder, "kraken")
    with pytest.raises(DataError, match="holds bars of kraken, and bars of another source"):
        write_csv(random_bars(20), folder / "btc_usd_1h.csv")
    assert not (folder / "btc_usd_1h.csv").exists()


def test_of_two_venues_that_claim_a_folder_at_once_one_gets_it(tmp_path):
    for attempt in range(20):
        folder, won, barrier = tmp_path / str(attempt), [], threading.Barrier(4)

        def claim(name, folder=folder, won=won, barrier=barrier):
            barrier.wait()
            try:
                claim_folder(folder, name)
            except DataError:
                return
            won.append(name)

        threads = [threading.Thread(target=claim, args=(name,)) for name in ("a", "b", "a", "b")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(won) == {venue_of(folder)}
        assert [path.name for path in folder.iterdir()] == ["source.json"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        '{"schema": 1}',
        '{"schema": 2, "source": "kraken"}',
        '{"schema": 1, "source": 7}',
        '{"schema": 1, "source": "../x"}',
        '{"schema": 1, "source": "Kraken"}',
        '{"schema": 1, "source": "kraken\\n"}',
        "[" * 100_000,
        "\0" * 50,
    ],
)
def test_a_damaged_name_is_refused_with_a_way_back(folder, content):
    download(venue(FakeExchange(range(NOW - 9, NOW))), BTC, folder, hours=9)
    (folder / "source.json").write_text(content)
    with pytest.raises(DataError) as caught:
        FilesSource(folder).bars(BTC, 0, NOW)
    assert "source.json" in caught.value.what
    assert "download the bars again" in caught.value.remedy
    with pytest.raises(DataError):
        claim_folder(folder, "kraken")


def test_the_remedy_for_a_missing_file_asks_the_venue_of_the_folder(folder):
    claim_folder(folder, "kraken")
    with pytest.raises(DataError) as caught:
        FilesSource(folder).bars(BTC, 0, NOW)
    assert "download --ticker BTC/USD --from kraken" in caught.value.remedy


def test_the_option_of_a_source_is_its_name_without_the_venue():
    assert [source_option(name) for name in ("files:kraken", "files", "alpaca")] == [
        "files",
        "files",
        "alpaca",
    ]
