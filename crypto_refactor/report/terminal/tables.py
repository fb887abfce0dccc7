"""The one look of tables in the terminal."""

from collections.abc import Collection

from rich.table import Table


def plain_table(
    *columns: str,
    left: Collection[str] = (),
    wrap: Collection[str] = (),
    title: str | None = None,
    header: bool = True,
    gap: int = 2,
) -> Table:
    """Return a table without borders.

    Columns named in `left` are flush left, all others flush right; only those named in `wrap` break their lines.
    """
    table = Table(
        box=None,
        pad_edge=False,
        padding=(0, gap, 0, 0),
        show_header=header,
        title=title,
        title_justify="left",
        title_style="bold",
    )
    for name in columns:
        if name in wrap:
            table.add_column(name, justify="left" if name in left else "right", overflow="fold")
        else:
            table.add_column(name, justify="left" if name in left else "right", no_wrap=True)
    return table
