"""Charts of block characters."""

from collections.abc import Callable, Mapping, Sequence

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_PER_CELL = len(_EIGHTHS) - 1


def chart(
    values: Sequence[float],
    *,
    label: Callable[[float], str],
    first: str,
    last: str,
    width: int = 64,
    height: int = 8,
) -> list[str]:
    """Draw evenly spaced, finite values from left to right, the lowest of them just above the axis.

    More values than columns are thinned out, fewer are drawn wider; the first and the last one keep their places.
    Returns `height` lines (3 or more), the axis, and the names `first` and `last` below its ends.
    """
    columns = _thinned(values, width)
    low, high = _range(columns)
    labels = {height - 1: label(high), height // 2: label(low + (high - low) / 2), 0: label(low)}
    margin = max(map(len, labels.values()))
    lines = _drawn(columns, (low, high), labels, height)
    lines.append(f"{'':{margin}} └{'─' * width}")
    gap = max(width - len(first) - len(last), 1)
    lines.append(f"{'':{margin}}  {first}{' ' * gap}{last}")
    return lines


def small_chart(
    values: Sequence[float], *, label: Callable[[float], str], title: str, width: int
) -> list[str]:
    """Draw the same without an axis in two lines: the first one begins with `title`, both are `width` wide at most."""
    low, high = _range(values)
    labels = [f"{title}  {label(high)}", label(low)]
    columns = _thinned(values, max(width - max(map(len, labels)) - 2, 8))
    return _drawn(columns, (low, high), dict(enumerate(reversed(labels))), len(labels))


def _drawn(
    columns: Sequence[float], ends: tuple[float, float], labels: Mapping[int, str], height: int
) -> list[str]:
    low, high = ends
    levels = [_level((value - low) / (high - low), height) for value in columns]
    margin = max(map(len, labels.values()))
    return [
        f"{labels.get(row, ''):>{margin}} {'┤' if row in labels else '│'}{_row(levels, row)}".rstrip()
        for row in reversed(range(height))
    ]


def _thinned(values: Sequence[float], width: int) -> list[float]:
    """Return one value per column."""
    step = (len(values) - 1) / max(width - 1, 1)
    return [values[round(column * step)] for column in range(width - 1)] + [values[-1]]


def _range(values: Sequence[float]) -> tuple[float, float]:
    """Return the ends of the axis; a series that does not vary lies halfway between them."""
    low, high = min(values), max(values)
    if low < high:
        return low, high
    around = max(abs(low) * 0.01, 1.0)
    return low - around, high + around


def _level(share: float, height: int) -> int:
    """Return how many eighths of a cell are filled; at least one, so that every column is visible."""
    return 1 + round(share * (height * _PER_CELL - 1))


def _row(levels: Sequence[int], row: int) -> str:
    return "".join(_EIGHTHS[min(max(level - row * _PER_CELL, 0), _PER_CELL)] for level in levels)
