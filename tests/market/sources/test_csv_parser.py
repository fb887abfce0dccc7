"""The quick parser accepts exactly what the exact one accepts, and every refusal reads the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crypto_refactor.backtest.external.target_file import read_targets
from crypto_refactor.errors import DataError
from crypto_refactor.market.bars import COLUMNS
from crypto_refactor.market.sources.csv_files import LAYOUT, read_csv
from crypto_refactor.market.sources.csv_parser import CsvLayout, _Reader, read_table
from crypto_refactor.market.ticker import Ticker

BTC = Ticker("BTC", "USD")
NUMBERS = [
    "1",
    "2.5",
    "3e0",
    "+2",
    "2.",
    ".5",
    "007",
    "1E+05",
    "1e-400",
    "5e-324",
    "0.1",
    "123456789.123456789",
]
NOT_PLAIN = [
    *[
        "",
        "nan",
        "inf",
        "-Infinity",
        "-1",
        "0",
        "1_0",
        "x",
        " 2",
        "2\t",
        "1e400",
        "0x1",
        "1 2",
        "1e",
        "e1",
        "--1",
    ],
    *[
        "+-1",
        "1.2.3",
        "1e5.5",
        ".",
        "-",
        "1,",
        '"1"',
        "1\r",
        "\r1",
        "1\r2",
        "1\0",
        "١",
        "\ufeff1",
        "1\x1c",
        "1d0",
    ],
]
SPELLINGS = [
    "{}T{:02}:00:00Z",
    "{}T{:02}:00:00",
    "{} {:02}:00:00+00:00",
    "{}T{:02}:00",
    "{}T{:02}:00:00-05:00",
]
STAMPS = [
    *[
        "2024-05-01",
        "20240501T03Z",
        "2024-W18-3T05",
        "0000-01-01T00:00:00",
        "2024-05-01T01:30:00",
        "NaT",
        "now",
        "",
    ],
    *[
        "2024-05-01T24:00:00",
        "2024-05-01T5:00:00",
        "2024-02-30T01:00:00",
        "2024-05-01  1:00:00",
        "1714525200",
    ],
    *[
        "2024-05-01T01:00:00+24:00",
        "9999-12-31T23:00:00-05:00",
        "0001-01-01T00:00:00+05:00",
        " 2024-05-01T04:00:00Z",
    ],
    *["2024-05-01T01:00:00Z ", "2024-05-01t05:00:00z", "2024-05-01Z01:00:00", "２024-05-01T01:00:00Z"],
]
SIDES = ["1", "0", "-1", "+1", "1.0", "-1.0", " 0", "0.000", "-0"]
NO_SIDES = ["2", "1e0", "01", "0.5", "", "nan", "1_0", "-", '"1"', "long"]


def outcome(read, path):
    """Return what was read, or the error."""
    try:
        return read(path)
    except DataError as error:
        return type(error), str(error)


def both(read, path):
    """Return the outcome of the reader, and that of the exact parser alone."""
    with pytest.MonkeyPatch.context() as patch:
        usual = outcome(read, path)
        patch.setattr(_Reader, "_parse_quickly", lambda _: None)
        return usual, outcome(read, path)


def bars_at(path):
    bars = read_csv(path, BTC)
    return [getattr(bars, name).tobytes() for name in ("opened", *COLUMNS)]


def targets_at(path):
    targets = read_targets(path)
    return [targets.made_at.tobytes(), targets.target.tobytes(), targets.lines.tolist(), targets.ignored]


@st.composite
def rows_of_bars(draw):
    """Draw the rows of a file of bars, some of them damaged."""
    spelling, rows = draw(st.sampled_from(SPELLINGS)), []
    for hour in range(draw(st.integers(1, 4))):
        price = draw(st.sampled_from(NUMBERS))
        cells = [
            spelling.format("2024-05-01", hour),
            price,
            price,
            price,
            price,
            draw(st.sampled_from(NUMBERS)),
        ]
        if draw(st.integers(0, 3)) == 0:
            place = draw(st.integers(0, 5))
            cells[place] = draw(st.sampled_from(NOT_PLAIN if place else STAMPS))
        rows.append(",".join(cells))
    return rows


@st.composite
def rows_of_targets(draw):
    spelling, rows = draw(st.sampled_from(SPELLINGS)), []
    for hour in range(draw(st.integers(1, 4))):
        cells = [spelling.format("2024-05-01", hour), draw(st.sampled_from(SIDES))]
        cells.append(
            draw(st.sampled_from(["", "x", "é", "3.5", '"a, b"', '"two\nlines"', '"', "1\0", "a\rb"]))
        )
        if draw(st.integers(0, 3)) == 0:
            place = draw(st.integers(0, 1))
            cells[place] = draw(st.sampled_from(NO_SIDES if place else STAMPS))
        rows.append(",".join(cells))
    return rows


DAMAGE = st.lists(
    st.tuples(
        st.integers(0, 400),
        st.integers(0, 3),
        st.sampled_from(["", ",", "\n", "\r", '"', "0", "-", "\0", " "]),
    ),
    max_size=2,
)
ENDS = st.sampled_from(["\n", "\n", "\n\n", "\r\n", ""])


def written(path, header, rows, damage, end):
    """Write a file, and replace some characters below its header."""
    text = "\n".join([header, *rows]) + end
    for place, length, insert in damage:
        at = len(header) + 1 + place % max(len(text) - len(header), 1)
        text = text[:at] + insert + text[at + length :]
    path.write_bytes(text.encode())
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("csv") / "file.csv"


@settings(deadline=None, max_examples=500)
@given(rows=rows_of_bars(), damage=DAMAGE, end=ENDS)
@example(rows=["2024-05-01T00:00:00Z,1,1,1,1,1", "2024-05-01T01:00:00Z,1,1,1,1,1e400"], damage=[], end="\n")
def test_damaged_bars_are_accepted_by_both_parsers_or_refused_in_the_same_words(path, rows, damage, end):
    usual, exact = both(bars_at, written(path, ",".join(LAYOUT.required), rows, damage, end))
    assert usual == exact


@settings(deadline=None, max_examples=500)
@given(rows=rows_of_targets(), damage=DAMAGE, end=ENDS)
def test_damaged_targets_are_accepted_by_both_parsers_or_refused_in_the_same_words(path, rows, damage, end):
    usual, exact = both(targets_at, written(path, "made_at,target,note", rows, damage, end))
    assert usual == exact


@given(st.lists(st.floats(min_value=5e-324, allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_numbers_are_parsed_to_the_nearest_float_as_python_does(path, numbers):
    layout = CsvLayout(stamp="hour", columns=("x",))
    rows = [f"{2000 + at}-01-01T00:00:00Z,{number!r}" for at, number in enumerate(numbers)]
    table = read_table(written(path, "hour,x", rows, [], "\n"), layout)
    assert table.values["x"].tolist() == numbers


@pytest.mark.parametrize("spelling", SPELLINGS[:3])
def test_usual_files_take_the_quick_way(path, spelling):
    rows = [spelling.format("2024-05-01", hour) + ",10,12.5,9,11,100.5" for hour in range(24)]
    written(path, ",".join(LAYOUT.required), rows, [], "\n")
    assert _Reader(path, LAYOUT)._parse_quickly() is not None


def test_real_files_take_the_quick_way(real_bars_dir):
    path = real_bars_dir / "eth_usd_1h.csv"
    quick, exact = _Reader(path, LAYOUT)._parse_quickly(), _Reader(path, LAYOUT)._parse_exactly()
    assert np.array_equal(quick.hours, exact.hours)
    for name in COLUMNS:
        assert np.array_equal(quick.values[name], exact.values[name])


def test_a_row_that_breaks_a_rule_is_named_before_a_later_one_that_cannot_be_parsed(path):
    rows = ["2024-05-01T00:00:00Z,1,1,1,1,-1", "noon,1,1,1,1,1"]
    with pytest.raises(DataError, match="line 2") as caught:
        read_csv(written(path, ",".join(LAYOUT.required), rows, [], "\n"), BTC)
    assert "volume" in caught.value.expected
