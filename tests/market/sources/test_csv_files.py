from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bars import empty_bars

from crypto_refactor.errors import DataError, UnavailableError, UsageError
from crypto_refactor.market.bars import COLUMNS, Bars, fill_gaps
from crypto_refactor.market.hours import parse_hour, to_iso
from crypto_refactor.market.sources.csv_files import FilesSource, read_bar_file, read_csv, write_csv
from crypto_refactor.market.ticker import Ticker

BTC = Ticker("BTC", "USD")
HEADER = "timestamp,open,high,low,close,volume"
ROWS = [
    "2024-05-01T00:00:00Z,10,12,9,11,100.5",
    "2024-05-01T01:00:00Z,11,13,10,12,0",
    "2024-05-01T02:00:00Z,12,14,11,13,7",
]
FIRST = parse_hour("2024-05-01T00:00Z")


@pytest.fixture
def written(tmp_path):
    """Write rows as the file of BTC/USD and return its path."""

    def write(*rows, header=HEADER, ending="\n"):
        path = tmp_path / "btc_usd_1h.csv"
        path.write_bytes("".join(row + ending for row in (header, *rows)).encode())
        return path

    return write


def same(one, other):
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("opened", *COLUMNS))


def test_a_file_is_read_as_it_stands(written):
    bars = read_csv(written(*ROWS), BTC)
    assert bars.source == "files"
    assert bars.opened.tolist() == [FIRST, FIRST + 1, FIRST + 2]
    assert bars.open.tolist() == [10, 11, 12]
    assert bars.high.tolist() == [12, 13, 14]
    assert bars.low.tolist() == [9, 10, 11]
    assert bars.close.tolist() == [11, 12, 13]
    assert bars.volume.tolist() == [100.5, 0, 7]
    assert not bars.synthetic.any()


@pytest.mark.parametrize(
    "stamp",
    [
        "2024-05-01T{:02}:00:00",
        "2024-05-01 {:02}:00:00",
        "2024-05-01 {:02}:00:00+00:00",
        "2024-05-01T{:02}:00:00.000Z",
        "2024-05-01T{:02}:00",
        "2024-05-01T{:02}:00Z",
        "20240501T{:02}Z",
        " 2024-05-01T{:02}:00:00Z",
    ],
)
def test_stamps_are_utc_however_they_are_spelled(written, stamp):
    rows = [stamp.format(hour) + row[20:] for hour, row in enumerate(ROWS)]
    assert same(read_csv(written(*rows), BTC), read_csv(written(*ROWS), BTC))


def test_stamps_with_an_offset_are_converted_even_when_it_changes(written):
    rows = [
        "2024-03-10T01:00:00-07:00,1,1,1,1,1",
        "2024-03-10T03:00:00-06:00,1,1,1,1,1",  # the next hour: the clock was put forward
        "2024-03-10T15:30:00+05:30,1,1,1,1,1",
    ]
    bars = read_csv(written(*rows), BTC)
    assert [to_iso(hour) for hour in bars.opened] == [
        "2024-03-10T08:00:00Z",
        "2024-03-10T09:00:00Z",
        "2024-03-10T10:00:00Z",
    ]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_both_line_ends_a_byte_order_mark_and_blank_lines_at_the_end_are_accepted(written, ending):
    path = written(*ROWS, "", "", header="\ufeff" + HEADER, ending=ending)
    assert len(read_csv(path, BTC)) == 3


BAD_ROWS = {
    "nan": ("2024-05-01T01:00:00Z,11,13,10,nan,5", "finite number as close"),
    "infinity": ("2024-05-01T01:00:00Z,11,inf,10,12,5", "finite number as high"),
    "overflow": ("2024-05-01T01:00:00Z,11,1e999,10,12,5", "value finite"),
    "a word": ("2024-05-01T01:00:00Z,11,13,10,twelve,5", "finite number as close"),
    "an underscore": ("2024-05-01T01:00:00Z,11,13,10,1_2,5", "finite number as close"),
    "digits of another script": ("2024-05-01T01:00:00Z,11,13,10,١٢,5", "finite number as close"),
    "an empty cell": ("2024-05-01T01:00:00Z,11,13,10,,5", "finite number as close"),
    "an empty line": ("", "6 cells"),
    "too few cells": ("2024-05-01T01:00:00Z,11,13,10,12", "6 cells"),
    "too many cells": ("2024-05-01T01:00:00Z,11,13,10,12,5,6", "6 cells"),
    "a comma as decimal point": ("2024-05-01T01:00:00Z,11,5,13,10,12,5", "6 cells"),
    "no stamp": (",11,13,10,12,5", "ISO-8601"),
    "NaT": ("NaT,11,13,10,12,5", "ISO-8601"),
    "seconds since 1970": ("1714525200,11,13,10,12,5", "ISO-8601"),
    "off the grid by minutes": ("2024-05-01T01:30:00Z,11,13,10,12,5", "between two hours"),
    "off the grid by a second": ("2024-05-01T01:00:01Z,11,13,10,12,5", "between two hours"),
    "off the grid by its offset": ("2024-05-01T01:00:00+05:30,11,13,10,12,5", "between two hours"),
    "an impossible date": ("2024-02-30T01:00:00Z,11,13,10,12,5", "ISO-8601"),
    "a repeated stamp": ("2024-05-01T00:00:00Z,11,13,10,12,5", "once"),
    "an unsorted stamp": ("2024-04-30T00:00:00Z,11,13,10,12,5", "rising order"),
    "a price of 0": ("2024-05-01T01:00:00Z,11,13,0,12,5", "above 0"),
    "a negative price": ("2024-05-01T01:00:00Z,-11,13,-12,12,5", "above 0"),
    "a negative volume": ("2024-05-01T01:00:00Z,11,13,10,12,-5", "volume"),
    "high below low": ("2024-05-01T01:00:00Z,11,9,10,12,5", "low <= open"),
    "high below close": ("2024-05-01T01:00:00Z,11,11.5,10,12,5", "close <= high"),
    "low above open": ("2024-05-01T01:00:00Z,11,13,11.5,12,5", "low <= open"),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_is_refused_with_its_file_line_and_text(written, name):
    row, rule = BAD_ROWS[name]
    path = written(ROWS[0], row, ROWS[2])
    with pytest.raises(DataError) as caught:
        read_csv(path, BTC)
    assert f"{path}, line 3: {row!r}" in caught.value.what
    assert rule in caught.value.expected
    assert not isinstance(caught.value, UnavailableError)


def test_a_cell_that_slipped_into_the_next_line_is_noticed(written):
    with pytest.raises(DataError, match="line 2"):
        read_csv(written("2024-05-01T00:00:00Z,10,12,9,11", "100.5," + ROWS[1]), BTC)
    with pytest.raises(DataError, match="line 2"):
        read_csv(written(",".join(ROWS)), BTC)


def test_the_first_of_several_bad_rows_is_named(written):
    rows = [ROWS[0], BAD_ROWS["a negative volume"][0], BAD_ROWS["nan"][0]]
    with pytest.raises(DataError, match="line 3"):
        read_csv(written(*rows), BTC)


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("timestamp,open,high,low,close", "no column volume"),
        ("time,open,high,low,close,volume", "no column timestamp"),
        ("timestamp,close,high,low,open,volume", "timestamp,close,high"),
        (ROWS[0], "no column timestamp, open"),
        (HEADER + ",trades", "trades"),
        (HEADER.replace(",", ";"), "no column"),
    ],
)
def test_another_header_is_refused(written, header, says):
    with pytest.raises(DataError, match="line 1") as caught:
        read_csv(written(*ROWS, header=header), BTC)
    assert says in caught.value.what
    assert HEADER in caught.value.expected


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_refused(tmp_path, content):
    path = tmp_path / "btc_usd_1h.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match="is empty"):
        read_csv(path, BTC)


def test_a_file_without_rows_is_refused(written):
    with pytest.raises(DataError, match="too few rows below its header: 0"):
        read_csv(written(), BTC)


def test_bytes_that_are_no_text_are_refused_with_their_line(written):
    path = written(*ROWS)
    path.write_bytes(path.read_bytes().replace(b"12,0", b"12,\xff"))
    with pytest.raises(DataError, match="line 3: bytes that are not UTF-8"):
        read_csv(path, BTC)


def test_a_file_cut_anywhere_is_never_read_as_if_it_were_whole(written):
    path = written(*ROWS)
    whole = path.read_bytes()
    ends = {at for at in range(len(whole)) if whole[at - 1 : at] == b"\n"}
    for at in range(len(whole)):
        path.write_bytes(whole[:at])
        if at in ends and at > len(HEADER) + 1:  # cut between two lines: nothing can tell
            assert len(read_csv(path, BTC)) < 3
        else:
            with pytest.raises(DataError):
                read_csv(path, BTC)


def test_a_folder_in_place_of_a_file_is_refused(tmp_path):
    (tmp_path / "btc_usd_1h.csv").mkdir()
    with pytest.raises(DataError, match="cannot be read"):
        FilesSource(tmp_path).now(BTC)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions do not bind this user")
def test_a_file_without_permission_is_refused(written):
    path = written(*ROWS)
    path.chmod(0)
    with pytest.raises(DataError, match="cannot be read"):
        read_csv(path, BTC)


def test_a_missing_file_means_the_ticker_is_not_offered(tmp_path):
    with pytest.raises(UnavailableError) as caught:
        FilesSource(tmp_path).bars(BTC, 0, 1)
    assert caught.value.what == f"{tmp_path} has no bars of BTC/USD: there is no btc_usd_1h.csv."
    assert "crypto-refactor download" in caught.value.remedy


@pytest.mark.parametrize(("step", "length"), [(24, "1 day"), (4, "4 hours")])
def test_bars_of_another_length_are_called_so(written, step, length):
    path = written(*(f"{to_iso(FIRST + step * bar)},10,12,9,11,5" for bar in range(20)))
    with pytest.raises(DataError, match=f"holds bars of {length}") as caught:
        read_csv(path, BTC)
    assert "hourly" in caught.value.expected


@pytest.mark.parametrize("kind", ["missing", "file"])
def test_a_missing_folder_is_a_fault_of_the_folder(tmp_path, kind):
    folder = tmp_path / "bars"
    if kind == "file":
        folder.write_text("")
    with pytest.raises(DataError, match="data folder") as caught:
        FilesSource(folder).now(BTC)
    assert not isinstance(caught.value, UnavailableError)
    assert "--data-dir" in caught.value.remedy


def test_now_is_the_close_of_the_last_bar_and_its_price_the_latest(written):
    source = FilesSource(written(*ROWS).parent)
    assert source.now(BTC) == FIRST + 3
    latest = source.latest_price(BTC)
    assert (latest.price, latest.at) == (13.0, "2024-05-01T03:00:00Z")


def test_a_range_is_cut_out_and_may_be_empty(written):
    source = FilesSource(written(*ROWS).parent)
    assert source.bars(BTC, FIRST + 1, FIRST + 3).close.tolist() == [12, 13]
    assert len(source.bars(BTC, FIRST + 10, FIRST + 20)) == 0


def test_a_file_is_read_once_until_it_changes(written, monkeypatch):
    path = written(*ROWS)
    source, reads = FilesSource(path.parent), []
    monkeypatch.setattr(
        "crypto_refactor.market.sources.csv_files.read_bar_file",
        lambda *given: reads.append(given) or read_bar_file(*given),
    )
    source.now(BTC), source.bars(BTC, FIRST, FIRST + 3), source.latest_price(BTC)
    assert len(reads) == 1
    written(*ROWS, "2024-05-01T03:00:00Z,13,14,11,12,7")
    assert source.now(BTC) == FIRST + 4
    path.unlink()
    with pytest.raises(UnavailableError):
        source.now(BTC)


PRICE = st.floats(min_value=1e-300, max_value=1e300)


@st.composite
def any_bars(draw):
    count = draw(st.integers(min_value=1, max_value=6))
    gaps = draw(st.lists(st.integers(1, 90), min_size=count, max_size=count))
    first = draw(st.integers(min_value=0, max_value=1_000_000))
    prices = np.sort(
        np.array(draw(st.lists(PRICE, min_size=4 * count, max_size=4 * count))).reshape(4, count), axis=0
    )
    volume = draw(st.lists(st.floats(min_value=0, max_value=1e300), min_size=count, max_size=count))
    return Bars(
        ticker=BTC,
        source="files",
        opened=first + np.cumsum(gaps),
        low=prices[0],
        open=prices[1],
        close=prices[2],
        high=prices[3],
        volume=np.array(volume),
    )


@settings(deadline=None, max_examples=60)
@given(bars=any_bars())
def test_what_is_written_is_read_back_to_the_last_bit(tmp_path_factory, bars):
    path = tmp_path_factory.mktemp("csv") / "btc_usd_1h.csv"
    write_csv(bars, path)
    assert read_csv(path, BTC).fingerprint() == bars.fingerprint()


def test_simulated_bars_are_never_written(tmp_path, random_bars):
    path = tmp_path / "btc_usd_1h.csv"
    with pytest.raises(UsageError, match="SIMULATED"):
        write_csv(random_bars(10, source="sample"), path)
    assert list(tmp_path.iterdir()) == []


def test_a_filled_gap_is_written_as_a_gap(tmp_path, random_bars):
    whole = random_bars(10)
    with_gap = Bars(
        ticker=BTC,
        source="files",
        **{name: np.delete(getattr(whole, name), [4, 5]) for name in ("opened", *COLUMNS)},
    )
    write_csv(fill_gaps(with_gap), tmp_path / "x.csv")
    assert same(read_csv(tmp_path / "x.csv", BTC), with_gap)


def test_no_bars_are_not_written(tmp_path):
    with pytest.raises(DataError, match="no bar"):
        write_csv(empty_bars(BTC, "alpaca"), tmp_path / "x.csv")
    assert list(tmp_path.iterdir()) == []


def test_writing_replaces_the_file_whole_and_leaves_nothing_beside_it(tmp_path, random_bars):
    path = tmp_path / "new" / "folder" / "x.csv"
    write_csv(random_bars(10), path)
    write_csv(random_bars(5, seed=1), path)
    assert len(read_csv(path, BTC)) == 5
    assert [entry.name for entry in path.parent.iterdir()] == ["x.csv"]


def test_a_failed_write_leaves_the_earlier_file_as_it_was(tmp_path, random_bars, monkeypatch):
    path = tmp_path / "x.csv"
    write_csv(random_bars(10), path)
    before = path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match="No space left on device"):
        write_csv(random_bars(20), path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.csv"]


def test_a_file_in_place_of_the_folder_is_a_data_error(tmp_path, random_bars):
    (tmp_path / "folder").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        write_csv(random_bars(3), tmp_path / "folder" / "x.csv")
