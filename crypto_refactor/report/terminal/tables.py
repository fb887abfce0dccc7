"""The one look of tables in the terminal, and of the lines around them: nothing is cut off, whatever the width."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from crypto_refactor.market.ticker import Ticker
from crypto_refactor.report.terminal.wrapping import GLUED, broken

_NARROWEST_NAME = 16
"""A column of names breaks its lines between words down to this width, before figures are hidden."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a `FittedTable`.

    Parameters
    ----------
    header : str
        With the unit of its cells; a line break in it keeps the column narrow.
    left : bool
        Flush left: names, not figures.
    wraps : bool
        Cells may break between words.
    hide : int
        Place in the order in which columns are hidden where there is no room, the first one 1; 0 for never.
    signed : bool
        Gains are green and losses red; their signs say the same.
    """

    header: str
    left: bool = False
    wraps: bool = False
    hide: int = 0
    signed: bool = False

    @property
    def name(self) -> str:
        """The header in one line; a word that is broken in it is whole again."""
        return self.header.replace("-\n", "").replace("\n", " ")


class FittedTable:
    """Rows of text that fit a width by hiding whole columns, in an order of their own, or as cards.

    Parameters
    ----------
    *columns : Column
        From left to right.
    all_in : str
        What shows the hidden columns, after "widen to 110 columns, or ".
    gap : int
        Spaces between columns.
    """

    def __init__(self, *columns: Column, all_in: str, gap: int = 2) -> None:
        self._columns, self._all_in, self._gap = columns, all_in, gap
        self._rows: list[tuple[str, ...]] = []

    def add(self, *cells: str) -> None:
        """Add a row; without cells, an empty line."""
        assert not cells or len(cells) == len(self._columns), "a cell for each column"
        self._rows.append(cells)

    def lines(self, width: int | None) -> list[Text]:
        """Return the table in lines of at most `width`; None shows every column, each as wide as its cells."""
        shown = list(range(len(self._columns)))
        hideable = sorted(
            (place for place in shown if self._columns[place].hide),
            key=lambda place: self._columns[place].hide,
        )
        natural = [self._width(place) for place in shown]
        needed = sum(natural) + self._gap * (len(natural) - 1)
        while (widths := self._fit(shown, width)) is None and hideable:
            shown.remove(hideable.pop(0))
        if widths is None:
            return self._cards(width)
        lines = self._drawn(shown, widths)
        hidden = [
            column.name or "unnamed" for place, column in enumerate(self._columns) if place not in shown
        ]
        if hidden and width is not None:
            count = f"{len(hidden)} column{'s' if len(hidden) > 1 else ''} hidden"
            note = f"{count} ({', '.join(hidden)}): widen to {needed} columns, or {self._all_in}."
            lines += [Text(line, style="dim") for line in wrapped(note, width)]
        return lines

    def text(self, width: int | None) -> list[str]:
        """Return the same lines as plain text."""
        return [line.plain.rstrip() for line in self.lines(width)]

    def _width(self, place: int) -> int:
        header = self._columns[place].header.split("\n")
        return max(map(cell_len, [*header, *(row[place] for row in self._rows if row)]))

    def _narrowest(self, place: int) -> int:
        """Return the width below which a word of a column that breaks its lines would be broken."""
        cells = [row[place] for row in self._rows if row]
        words = [word for cell in cells for word in cell.split()]
        return max(_NARROWEST_NAME, *map(cell_len, [*words, *self._columns[place].header.split("\n")]))

    def _fit(self, shown: Sequence[int], width: int | None) -> list[int] | None:
        """Return the widths of the columns `shown`, or None where they have no room."""
        widths = [self._width(place) for place in shown]
        if width is None:
            return widths
        excess = sum(widths) + self._gap * (len(widths) - 1) - width
        for at, place in enumerate(shown):
            if excess > 0 and self._columns[place].wraps:
                narrower = max(min(widths[at], self._narrowest(place)), widths[at] - excess)
                excess -= widths[at] - narrower
                widths[at] = narrower
        return widths if excess <= 0 else None

    def _drawn(self, shown: Sequence[int], widths: Sequence[int]) -> list[Text]:
        headers = [self._columns[place].header.split("\n") for place in shown]
        height = max(map(len, headers))
        heads = [[""] * (height - len(parts)) + parts for parts in headers]
        lines = []
        if any(part for parts in headers for part in parts):
            lines = [self._line(shown, widths, cells, header=True) for cells in zip(*heads, strict=True)]
        for row in self._rows:
            lines += self._row_lines(shown, widths, row) if row else [Text()]
        return lines

    def _row_lines(self, shown: Sequence[int], widths: Sequence[int], row: Sequence[str]) -> list[Text]:
        parts = [
            wrapped(row[place], room, indent=0) if cell_len(row[place]) > room else [row[place]]
            for place, room in zip(shown, widths, strict=True)
        ]
        height = max(map(len, parts))
        padded = [cell + [""] * (height - len(cell)) for cell in parts]
        return [self._line(shown, widths, cells) for cells in zip(*padded, strict=True)]

    def _line(
        self, shown: Sequence[int], widths: Sequence[int], cells: Sequence[str], *, header: bool = False
    ) -> Text:
        line = Text(style="bold" if header else "")
        for at, (place, room, cell) in enumerate(zip(shown, widths, cells, strict=True)):
            column, padding = self._columns[place], " " * (room - cell_len(cell))
            line.append(" " * self._gap if at else "")
            line.append("" if column.left else padding)
            line.append(cell, style="" if header else _style(column, cell))
            line.append(padding if column.left else "")
        line.rstrip()
        return line

    def _cards(self, width: int | None) -> list[Text]:
        """Return each row as lines of a name and a value, nothing hidden."""
        names = [column.name for column in self._columns]
        room = max(map(cell_len, names))
        lines = []
        for row in self._rows:
            head, *rest = row or [""]
            title = head if any(map(str.isalpha, names[0])) else f"{names[0]} {head}".strip()
            lines += [Text(line, style="bold") for line in wrapped(title, width)]
            for name, column, cell in zip(names[1:], self._columns[1:], rest, strict=bool(row)):
                if not cell:
                    continue
                first, *others = wrapped(cell, None if width is None else width - room - 4, indent=0)
                lines.append(Text(f"  {name:<{room}}  ").append(first, style=_style(column, cell)))
                lines += [Text(f"  {'':<{room}}  {other}") for other in others]
        return lines


def _style(column: Column, cell: str) -> str:
    if not column.signed or not any(digit in cell for digit in "123456789"):
        return ""
    return {"+": "green", "-": "red"}.get(cell[:1], "")


def unit_line(tickers: Iterable[Ticker]) -> str:
    """Return the line of a header that names the quote currency; empty where not all tickers have the same."""
    quotes = {ticker.quote for ticker in tickers}
    return f"\n{quotes.pop()}" if len(quotes) == 1 else ""


def wrapped(text: str, width: int | None, *, indent: int = 2) -> list[str]:
    """Return text in lines of at most `width`, broken between words alone; the later ones are indented."""
    if width is None or cell_len(text) <= width:
        return [text]
    lead = len(text) - len(text.lstrip()) + indent
    return broken(text.replace(" %", f"{GLUED}%"), max(width, 1), lead) or [""]


def room_of(console: Console, *, wide: bool) -> int | None:
    """Return the width that a table has; None where it may be as wide as it is: with `--wide`, and in a pipe."""
    return console.width if console.is_terminal and not wide else None


def print_lines(console: Console, lines: Iterable[str | Text], *, wide: bool = False) -> None:
    """Print lines, broken between words where a terminal is narrower."""
    room = room_of(console, wide=wide)
    for line in lines:
        text = line if isinstance(line, Text) else Text(line)
        if room is None or text.cell_len <= room:
            console.print(text, soft_wrap=True)
            continue
        for part in wrapped(text.plain, room):
            console.print(Text(part, style=text.style), soft_wrap=True)


def print_table(console: Console, table: FittedTable, *, wide: bool = False) -> None:
    """Print a table, as wide as there is room."""
    print_lines(console, table.lines(room_of(console, wide=wide)))
