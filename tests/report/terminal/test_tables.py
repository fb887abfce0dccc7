"""Tables that hide whole columns, and lines that break between words."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from crypto_refactor.report.terminal.tables import Column, FittedTable, print_lines, wrapped


def table(*rows, gap=2):
    made = FittedTable(
        Column("name", left=True),
        Column("setting", left=True, wraps=True),
        Column("gain\nUSD", signed=True),
        Column("fees\nUSD", hide=2),
        Column("held", hide=1),
        all_in="--wide",
        gap=gap,
    )
    for row in rows:
        made.add(*row)
    return made


ROW = ("BTC/USD", "exit=neutral, long-only=on, strict=off", "-1,234.50", "12.30", "5 h")


def test_with_room_every_column_is_there_in_its_own_width():
    assert table(ROW).text(None) == [
        "                                                      gain   fees",
        "name     setting                                       USD    USD  held",
        "BTC/USD  exit=neutral, long-only=on, strict=off  -1,234.50  12.30   5 h",
    ]
    assert table(ROW).text(200) == table(ROW).text(None)


def test_names_break_between_words_before_a_column_is_hidden():
    text = table(ROW).text(60)
    assert not any("hidden" in line for line in text)
    assert text[2].split()[-3:] == ["12.30", "5", "h"]
    assert text[3].strip() == "strict=off"


@pytest.mark.parametrize(
    ("width", "hidden"), [(48, "1 column hidden (held)"), (42, "2 columns hidden (fees USD, held)")]
)
def test_columns_are_hidden_whole_in_their_order_and_named(width, hidden):
    text = " ".join(" ".join(table(ROW).text(width)).split())
    assert hidden in text
    assert "widen to 71 columns, or --wide." in text
    assert "-1,234.50" in text


def test_where_not_even_the_rest_fits_rows_are_cards_with_every_value():
    assert table(ROW).text(24) == [
        "BTC/USD",
        "  setting   exit=neutral,",
        "            long-only=on,",
        "            strict=off",
        "  gain USD  -1,234.50",
        "  fees USD  12.30",
        "  held      5 h",
    ]


def test_an_empty_row_is_an_empty_line():
    assert table(ROW, (), ROW).text(None)[-2] == ""


def test_gains_and_losses_are_coloured_and_say_the_same_in_black_and_white():
    styles = {span.style for span in table(ROW).lines(None)[-1].spans}
    assert "red" in styles
    file = io.StringIO()
    print_lines(Console(file=file, force_terminal=True, no_color=True), table(ROW).lines(None))
    assert "-1,234.50" in file.getvalue()
    assert "[31m" not in file.getvalue()


def test_words_are_never_broken_and_later_lines_are_indented():
    assert wrapped("see /a/very/long/path/of/a/file.csv now", 12) == [
        "see",
        "  /a/very/long/path/of/a/file.csv",
        "  now",
    ]
    assert wrapped("as it is", None) == ["as it is"]
    assert wrapped("it is 0.043 % now", 11) == ["it is", "  0.043 %", "  now"]
