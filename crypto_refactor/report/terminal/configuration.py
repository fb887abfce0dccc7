"""Values in force, in the terminal."""

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from crypto_refactor.report.formatting import UNDEFINED
from crypto_refactor.report.terminal.tables import Column, FittedTable, print_lines, print_table


def print_values(title: str, rows: Iterable[tuple[str, object, str]], console: Console) -> None:
    """Print names, values and where each value comes from."""
    names = Column("name", left=True), Column("from", left=True), Column("value", left=True, wraps=True)
    table = FittedTable(*names, all_in="--json")
    for name, value, source in rows:
        table.add(name, source, _text(value))
    print_lines(console, ["", Text(title, style="bold")])
    print_table(console, table)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if value is None or value == []:
        return UNDEFINED
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
