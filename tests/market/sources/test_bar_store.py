"""The bar store: what is kept, what counts as answered, and what happens when it cannot be kept."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading

import numpy as np
import pytest
from support.bars import empty_bars

from crypto_refactor.errors import DataError
from crypto_refactor.market.bars import COLUMNS
from crypto_refactor.market.sources.bar_store import BarStore
from crypto_refactor.market.ticker import Ticker

BTC, ETH = Ticker("BTC", "USD"), Ticker("ETH", "USD")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "bars.sqlite"


@pytest.fixture
def store(path):
    return BarStore(path, source="alpaca")


@pytest.fixture
def bars(random_bars):
    def make(first, count, *, seed=0, ticker=BTC):
        return random_bars(count, seed=seed, first=first, ticker=ticker, source="alpaca")

    return make


def same(left, right):
    return left.ticker == right.ticker and left.fingerprint() == right.fingerprint()


def three_parts(error):
    return bool(error.what and error.expected and error.remedy) and "Traceback" not in str(error)


def test_bars_come_back_bit_for_bit(store, bars):
    written = bars(100, 50)
    store.write(written, 100, 150)
    assert same(store.read(BTC, 0, 1000), written)
    assert same(store.read(BTC, 110, 120), written.between(110, 120))


def test_an_empty_store_lacks_everything_and_holds_nothing(store):
    assert store.missing(BTC, 10, 20) == [(10, 20)]
    assert len(store.read(BTC, 10, 20)) == 0
    assert store.last_close(BTC) is None


def test_an_empty_range_lacks_nothing(store):
    assert store.missing(BTC, 20, 20) == []


def test_a_hole_that_was_answered_is_not_missing(store, bars):
    whole = bars(100, 10)
    with_hole = whole.rows(0, 4)
    store.write(with_hole, 100, 110)
    assert store.missing(BTC, 100, 110) == []
    assert store.last_close(BTC) == 104


# answered:      [10, 20)      [30, 40)
@pytest.mark.parametrize(
    ("start", "end", "gaps"),
    [
        (10, 20, []),
        (12, 18, []),
        (5, 10, [(5, 10)]),
        (5, 15, [(5, 10)]),
        (15, 25, [(20, 25)]),
        (15, 35, [(20, 30)]),
        (0, 50, [(0, 10), (20, 30), (40, 50)]),
        (20, 30, [(20, 30)]),
        (22, 24, [(22, 24)]),
        (40, 41, [(40, 41)]),
    ],
)
def test_exactly_what_was_not_answered_is_missing(store, start, end, gaps):
    nothing = empty_bars(BTC, "alpaca")
    store.write(nothing, 30, 40)
    store.write(nothing, 10, 20)
    assert store.missing(BTC, start, end) == gaps


@pytest.mark.parametrize("seed", range(20))
def test_any_order_of_answers_leaves_the_same_gaps_as_a_set_of_hours(path, seed):
    rng = np.random.default_rng(seed)
    store, answered = BarStore(path, source="alpaca"), set()
    for _ in range(12):
        start = int(rng.integers(0, 50))
        end = start + int(rng.integers(1, 12))
        upto = int(rng.integers(start - 2, end + 3))
        store.write(empty_bars(BTC, "alpaca"), start, end, covered_until=upto)
        answered |= set(range(start, min(upto, end)))
    gaps = store.missing(BTC, 0, 70)
    assert [h for a, b in gaps for h in range(a, b)] == [h for h in range(70) if h not in answered]


def test_bars_beyond_the_answered_hours_are_kept_but_asked_for_again(store, bars):
    written = bars(100, 10)
    store.write(written, 100, 110, covered_until=107)
    assert store.missing(BTC, 100, 110) == [(107, 110)]
    assert same(store.read(BTC, 100, 110), written)


def test_a_write_replaces_its_range_and_nothing_else(store, bars):
    store.write(bars(100, 10), 100, 110)
    newer = bars(104, 2, seed=1)
    store.write(newer, 103, 107)  # 103 and 106 were withdrawn
    kept = store.read(BTC, 100, 110)
    assert kept.opened.tolist() == [100, 101, 102, 104, 105, 107, 108, 109]
    assert kept.close[3:5].tolist() == newer.close.tolist()


def test_tickers_sources_and_addresses_do_not_mix(store, path, bars):
    store.write(bars(100, 10), 100, 110)
    others = (
        (store, ETH),
        (BarStore(path, source="other"), BTC),
        (BarStore(path, source="alpaca", url="http://127.0.0.1:1"), BTC),
    )
    for other, ticker in others:
        assert other.missing(ticker, 100, 110) == [(100, 110)]
        assert len(other.read(ticker, 100, 110)) == 0


@pytest.mark.parametrize(("start", "end"), [(101, 110), (100, 109), (110, 100)])
def test_bars_outside_the_range_written_are_a_fault_of_the_caller(store, bars, start, end):
    with pytest.raises(ValueError, match="not the real alpaca bars"):
        store.write(bars(100, 10), start, end)


def test_another_sources_bars_are_a_fault_of_the_caller(store, random_bars):
    with pytest.raises(ValueError, match="not the real alpaca bars"):
        store.write(random_bars(5, first=100, source="files"), 100, 105)


def test_synthetic_bars_are_never_stored(store, bars):
    made_up = bars(100, 3)
    object.__setattr__(made_up, "synthetic", np.array([False, True, False]))
    with pytest.raises(ValueError, match="not the real"):
        store.write(made_up, 100, 103)


WRITER = """
import sys
from pathlib import Path
import numpy as np
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.sources.bar_store import BarStore
from crypto_refactor.market.ticker import Ticker
path, base = sys.argv[1:]
store, price = BarStore(Path(path), source="alpaca"), np.full(5, 2.0)
print("ready", flush=True)
sys.stdin.readline()
for first in range(0, 200, 5):
    for ticker in (Ticker(base, "USD"), Ticker("SHARED", "USD")):
        store.write(Bars(ticker=ticker, source="alpaca", opened=np.arange(first, first + 5), open=price, high=price,
                         low=price, close=price, volume=price), first, first + 5)
"""


def test_two_processes_may_write_at_once_from_the_very_first_use(store, path):
    def start(base):
        command = [sys.executable, "-W", "error", "-c", WRITER, str(path), base]
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    writers = [start("ONE"), start("TWO")]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        assert writer.communicate(timeout=60)[1] == ""
        assert writer.returncode == 0
    for base in ("ONE", "TWO", "SHARED"):
        ticker = Ticker(base, "USD")
        assert store.missing(ticker, 0, 200) == []
        assert store.read(ticker, 0, 200).opened.tolist() == list(range(200))


def test_threads_may_share_a_store_that_is_still_to_be_made(store, bars):
    failures = []

    def write(number):
        try:
            store.write(bars(number * 10, 10), number * 10, number * 10 + 10)
        except Exception as error:  # noqa: BLE001 - shown by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert store.missing(BTC, 0, 80) == []


def test_a_store_another_process_keeps_locked_is_said_to_be_so(path, store, bars):
    store.write(bars(100, 5), 100, 105)
    impatient = BarStore(path, source="alpaca", busy_seconds=0.05)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(DataError, match="locked") as caught:
            impatient.write(bars(105, 5), 105, 110)
        assert len(impatient.read(BTC, 100, 105)) == 5  # readers do not wait for a writer
    finally:
        holder.close()
    assert three_parts(caught.value)


def test_a_full_disk_leaves_the_store_as_it_was(path, store, bars, monkeypatch):
    before = bars(100, 10)
    store.write(before, 100, 110)
    connect = sqlite3.connect

    def on_a_full_disk(*args, **options):
        connection = connect(*args, **options)
        connection.execute("PRAGMA max_page_count = 1")
        return connection

    monkeypatch.setattr(sqlite3, "connect", on_a_full_disk)
    with pytest.raises(DataError, match="full") as caught:
        store.write(bars(90, 3000, seed=1), 90, 3090)
    monkeypatch.undo()
    assert three_parts(caught.value)
    assert "free some space" in caught.value.remedy
    assert same(store.read(BTC, 0, 5000), before)
    assert store.missing(BTC, 90, 120) == [(90, 100), (110, 120)]


def test_a_write_that_is_interrupted_leaves_the_store_as_it_was(store, bars, monkeypatch):
    before = bars(100, 10)
    store.write(before, 100, 110)

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("crypto_refactor.market.sources.bar_store._extend_coverage", interrupt)
    with pytest.raises(KeyboardInterrupt):
        store.write(bars(95, 20, seed=1), 95, 115)
    assert same(store.read(BTC, 0, 1000), before)


def spoil_all(path):
    path.write_bytes(b"this is no database at all. " * 100)


def spoil_pages(path):
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)


def spoil_values(path):
    connection = sqlite3.connect(path)
    connection.execute("UPDATE bars SET low = 1e9 WHERE opened = 103")
    connection.commit()
    connection.close()


def spoil_types(path):
    connection = sqlite3.connect(path)
    connection.execute("UPDATE bars SET low = 'x' WHERE opened = 103")
    connection.commit()
    connection.close()


def drop_table(path):
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE bars")
    connection.commit()
    connection.close()


@pytest.mark.parametrize("spoil", [spoil_all, spoil_pages, spoil_values, spoil_types, drop_table])
def test_a_damaged_store_is_named_and_not_removed(path, store, bars, spoil):
    store.write(bars(100, 300), 100, 400)
    spoil(path)
    content = path.read_bytes()
    with pytest.raises(DataError, match="damaged") as caught:
        store.read(BTC, 100, 400)
    assert three_parts(caught.value)
    assert caught.value.exit_code == 3
    assert str(path) in caught.value.remedy
    assert path.read_bytes() == content


def test_removing_a_damaged_store_as_told_is_enough(path, store, bars):
    store.write(bars(100, 5), 100, 105)
    spoil_all(path)
    path.unlink()
    assert store.missing(BTC, 100, 105) == [(100, 105)]


def test_a_newer_store_is_refused_with_the_remedy(path, store, bars):
    store.write(bars(100, 5), 100, 105)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    for use in (lambda: store.read(BTC, 0, 9), lambda: store.write(bars(105, 1), 105, 106)):
        with pytest.raises(DataError, match="version 2") as caught:
            use()
        assert three_parts(caught.value)
        assert "version 1" in caught.value.expected


def test_another_programs_database_is_left_alone(path, store):
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.close()
    content = path.read_bytes()
    with pytest.raises(DataError, match="not a bar store") as caught:
        store.missing(BTC, 0, 10)
    assert three_parts(caught.value)
    assert path.read_bytes() == content


def test_a_folder_that_cannot_be_made_is_an_error_with_a_remedy(tmp_path):
    (tmp_path / "file").write_text("in the way")
    store = BarStore(tmp_path / "file" / "bars.sqlite", source="alpaca")
    with pytest.raises(DataError, match="cannot be used") as caught:
        store.missing(BTC, 0, 10)
    assert three_parts(caught.value)


def test_a_store_that_is_a_folder_is_an_error_with_a_remedy(tmp_path):
    with pytest.raises(DataError, match="cannot be used"):
        BarStore(tmp_path, source="alpaca").missing(BTC, 0, 10)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_write_permission_is_an_error_with_a_remedy(tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    with pytest.raises(DataError, match="cannot be used"):
        BarStore(folder / "bars.sqlite", source="alpaca").missing(BTC, 0, 10)


def test_every_write_is_durable_and_readers_never_block(path, store, bars):
    store.write(bars(100, 5), 100, 105)
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
    with store._file.transaction("BEGIN") as own:
        assert own.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


def test_zero_volume_is_kept(store, bars):
    written = bars(100, 3)
    columns = {name: getattr(written, name) for name in COLUMNS} | {"volume": np.zeros(3)}
    flat = type(written)(ticker=BTC, source="alpaca", opened=written.opened, **columns)
    store.write(flat, 100, 103)
    assert store.read(BTC, 100, 103).volume.tolist() == [0, 0, 0]
