"""Values in force, in the terminal."""

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from crypto_refactor.report.formatting import UNDEFINED
from crypto_refactor.report.terminal.tables import plain_table


def print_values(title: str, rows: Iterable[tuple[str, object, str]], console: Console) -> None:
    """Print names, values and where each value comes from."""
    table = plain_table("name", "from", "value", left=("name", "from", "value"), wrap=("value",))
    for name, value, source in rows:
        table.add_row(Text(name), source, Text(_text(value)))
    console.print()
    console.print(Text(title, style="bold"))
    console.print(table)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if value is None or value == []:
        return UNDEFINED
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
