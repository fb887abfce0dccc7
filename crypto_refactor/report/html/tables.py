"""Tables, numbers on the right, words on the left, headers that sort; and lists of facts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from crypto_refactor.report.formatting import UNDEFINED
from crypto_refactor.report.html.markup import Html, tag, unbroken


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    title : str
        What its header says.
    words : bool
        Whether it holds words, which stand on the left.
    hint : str or None
        What the header says in full.
    """

    title: str
    words: bool = False
    hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A cell that is more than its text.

    Attributes
    ----------
    text : object
        What is seen; text is escaped, `Html` is not.
    order : float or str or None
        What the cell is sorted by; by default its text.
    look : str or None
        A class of the style sheet.
    """

    text: object
    order: float | str | None = None
    look: str | None = None


def words(title: str, hint: str | None = None) -> Column:
    """Return a column of words."""
    return Column(title=title, words=True, hint=hint)


def numbers(title: str, hint: str | None = None) -> Column:
    """Return a column of numbers."""
    return Column(title=title, hint=hint)


def table(
    caption: str,
    columns: Sequence[Column],
    rows: Iterable[Sequence[object]],
    *,
    sortable: bool = False,
    name: str | None = None,
) -> Html:
    """Return a table that scrolls within itself where the page is too narrow for it.

    Parameters
    ----------
    caption : str
        What it shows, for readers who do not see it.
    columns : sequence of Column
        The first one names the rows.
    rows : iterable of sequence
        Cells: `Cell`, `Html` or text, as many as there are columns.
    sortable : bool
        Whether headers sort.
    name : str, optional
        The element's id.
    """
    head = tag("thead", tag("tr", *(_header(column, sortable=sortable) for column in columns)))
    body = tag("tbody", *(_row(columns, row) for row in rows))
    whole = tag(
        "table", tag("caption", caption), head, body, id=name, class_="sortable" if sortable else None
    )
    return tag("div", whole, class_="scroll", role="region", aria_label=caption, tabindex="0")


def _header(column: Column, *, sortable: bool) -> Html:
    title = tag("button", column.title, type="button") if sortable else column.title
    look = "words" if column.words else None
    sort = "none" if sortable else None
    return tag("th", title, scope="col", class_=look, title=column.hint, aria_sort=sort)


def _row(columns: Sequence[Column], row: Sequence[object]) -> Html:
    cells = [
        _cell(column, value, first=position == 0)
        for position, (column, value) in enumerate(zip(columns, row, strict=True))
    ]
    return tag("tr", *cells)


def _cell(column: Column, value: object, *, first: bool) -> Html:
    cell = value if isinstance(value, Cell) else Cell(text=value)
    look = " ".join(filter(None, ("words" if column.words else None, cell.look)))
    name, scope = ("th", "row") if first else ("td", None)
    text = (
        unbroken(cell.text) if isinstance(cell.text, str) and not isinstance(cell.text, Html) else cell.text
    )
    return tag(name, text, scope=scope, class_=look or None, data_order=cell.order)


def facts(pairs: Mapping[str, object]) -> Html:
    """Return names, and what they are, side by side."""
    shown = (
        tag("div", tag("dt", name.replace("_", " ")), tag("dd", _fact(value)))
        for name, value in pairs.items()
    )
    return tag("dl", *shown, class_="facts")


def _fact(value: object) -> str:
    if value is None:
        return UNDEFINED
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_fact(each)}" for name, each in value.items())
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def signed_look(value: float | None) -> str | None:
    """Return the class of a gain or a loss; the sign itself is always written out too."""
    if value is None or value == 0:
        return None
    return "gain" if value > 0 else "loss"
