"""How complete the bars of a requested range are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from crypto_refactor.errors import DataError
from crypto_refactor.market.hours import to_iso

if TYPE_CHECKING:
    from crypto_refactor.market.bars import Bars

MAX_ABSENT_SHARE: Final = 0.05
"""Largest share of a requested range that may be carried or missing without `allow_gaps`."""

STALE_HOURS: Final = 3
"""How long before the end of a range its last bar may have closed."""

_MISSING, _SYNTHETIC, _REAL = 0, 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A stretch of the range without real bars, between real bars.

    Attributes
    ----------
    start : str
        ISO-8601 UTC: when its first bar would have opened.
    hours : int
        Its length within the range.
    carried : bool
        Whether it is carried as synthetic bars; if not, it splits the series.
    """

    start: str
    hours: int
    carried: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityReport:
    """What a range of hours holds; ``late_hours + bars + synthetic + missing + stale_hours = expected``.

    Attributes
    ----------
    ticker, source : str
        What was asked for, and where.
    simulated : bool
        Whether the bars come from the bundled simulation.
    start, end : str
        The requested range, ISO-8601 UTC.
    expected : int
        Hours in the range.
    bars : int
        Real bars in it.
    synthetic : int
        Carried bars in it.
    missing : int
        Hours of it inside holes too long to be carried.
    holes : tuple of Gap
        Every hole in the range, in time.
    late_hours, stale_hours : int
        Hours of the range before the first bar and after the last one.
    zero_volume : int
        Real bars without a trade.
    first, last : str or None
        When the first and the last bar opened, ISO-8601 UTC; None without bars.
    largest_move : float or None
        The largest change from one close to the next, a signed fraction; None without two bars in a row.
    largest_move_at : str or None
        When the bar of that move opened, ISO-8601 UTC.
    """

    ticker: str
    source: str
    simulated: bool
    start: str
    end: str
    expected: int
    bars: int
    synthetic: int
    missing: int
    holes: tuple[Gap, ...]
    late_hours: int
    stale_hours: int
    zero_volume: int
    first: str | None
    last: str | None
    largest_move: float | None
    largest_move_at: str | None

    @property
    def absent(self) -> int:
        """Hours inside holes, carried or not."""
        return self.synthetic + self.missing

    @property
    def absent_share(self) -> float:
        """`absent` as a share of the range, 0 to 1."""
        return self.absent / self.expected

    @property
    def largest_hole(self) -> Gap | None:
        """The longest hole, the first of equals."""
        return max(self.holes, key=lambda hole: hole.hours, default=None)


def quality_report(carried_bars: Bars, start: int, end: int) -> QualityReport:
    """Describe what the hours ``start … end - 1`` hold.

    Parameters
    ----------
    carried_bars : Bars
        Bars after `carry_holes`, of this range or a longer one.
    start, end : int
        The requested range, hours since 1970; `end` is the close of its last bar.

    Returns
    -------
    QualityReport
        Counts, holes and the largest move within the range.

    Raises
    ------
    ValueError
        If the range is empty.
    """
    if end <= start:
        raise ValueError(f"the range {start} to {end} holds no hour")
    bars = carried_bars.between(start, end)
    begin, stop = _covered(carried_bars, start, end)
    holes = _holes(bars, begin, stop)
    synthetic = int(bars.synthetic.sum())
    move, at = _largest_move(bars)
    return QualityReport(
        ticker=str(bars.ticker),
        source=bars.source,
        simulated=bars.simulated,
        start=to_iso(start),
        end=to_iso(end),
        expected=end - start,
        bars=len(bars) - synthetic,
        synthetic=synthetic,
        missing=sum(hole.hours for hole in holes if not hole.carried),
        holes=holes,
        late_hours=begin - start,
        stale_hours=end - stop,
        zero_volume=int(((bars.volume == 0) & ~bars.synthetic).sum()),
        first=to_iso(int(bars.opened[0])) if len(bars) else None,
        last=to_iso(int(bars.opened[-1])) if len(bars) else None,
        largest_move=move,
        largest_move_at=at,
    )


def _covered(bars: Bars, start: int, end: int) -> tuple[int, int]:
    """Return the part of the range from the first bar known to the last one, empty where they lie outside."""
    if not len(bars) or bars.opened[0] >= end:
        return end, end
    if bars.closed[-1] <= start:
        return start, start
    return max(start, int(bars.opened[0])), min(end, int(bars.closed[-1]))


def _holes(bars: Bars, begin: int, stop: int) -> tuple[Gap, ...]:
    state = np.full(stop - begin, _MISSING)
    state[bars.opened - begin] = np.where(bars.synthetic, _SYNTHETIC, _REAL)
    edges = np.concatenate([[0], np.flatnonzero(np.diff(state)) + 1, [len(state)]])
    return tuple(
        Gap(start=to_iso(begin + first), hours=after - first, carried=bool(state[first] == _SYNTHETIC))
        for first, after in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
        if after > first and state[first] != _REAL
    )


def _largest_move(bars: Bars) -> tuple[float, str] | tuple[None, None]:
    later = np.flatnonzero(np.diff(bars.opened) == 1) + 1
    if not len(later):
        return None, None
    moves = bars.close[later] / bars.close[later - 1] - 1
    largest = int(np.argmax(np.abs(moves)))
    return float(moves[largest]), to_iso(int(bars.opened[later[largest]]))


def require_complete(report: QualityReport, allow_gaps: bool) -> None:
    """Refuse a range with too many hours inside holes.

    Raises
    ------
    DataError
        If more than 5 % of the range is synthetic or missing and gaps are not allowed.
    """
    hole = report.largest_hole
    if allow_gaps or hole is None or report.absent_share <= MAX_ABSENT_SHARE:
        return
    raise DataError(
        f"{report.absent} of {report.expected} hours of {report.ticker} from {report.source} lie in holes "
        f"({report.absent_share * 100:.1f} %); the largest begins at {hole.start} and lasts {hole.hours} h.",
        expected=f"at most {MAX_ABSENT_SHARE * 100:.0f} % of the hours from {report.start} to {report.end}.",
        remedy="choose another range or source, or accept them with --allow-gaps.",
    )


def require_recent(bars: Bars, end: int) -> None:
    """Insist that the last of `bars` closed at most `STALE_HOURS` before `end`.

    Raises
    ------
    DataError
        If it closed earlier; the message names it.
    """
    last = int(bars.closed[-1])
    if end - last > STALE_HOURS:
        raise DataError(
            f"The last {bars.ticker} bar from {bars.source} closed at {to_iso(last)}, {end - last} h before the end.",
            expected=f"a bar that closed at most {STALE_HOURS} h before {to_iso(end)}.",
            remedy=f"use --end {to_iso(last)} or earlier, leave --end out, or choose another source.",
        )


def describe(report: QualityReport) -> list[str]:
    """Return the report as readable lines."""
    origin = f"{report.ticker} from {report.source}" + (" SIMULATED" if report.simulated else "")
    lines = [
        f"{origin}: {report.bars} bars in {report.expected} hours, {report.start} to {report.end}",
    ]
    if report.first and report.last:
        lines.append(f"first bar {report.first}, last bar {report.last} (times of opening)")
    if report.late_hours:
        lines.append(f"the first {report.late_hours} h of the range have no bars")
    if report.stale_hours:
        lines.append(f"the last {report.stale_hours} h of the range have no bars")
    lines.append(
        f"{report.synthetic} h carried, {report.missing} h missing ({report.absent_share * 100:.1f} % of the range)"
    )
    lines += [
        f"hole from {hole.start}, {hole.hours} h, {'carried' if hole.carried else 'splits the series'}"
        for hole in report.holes
    ]
    lines.append(f"{report.zero_volume} bars without volume")
    if report.largest_move is not None:
        lines.append(
            f"largest hourly move {report.largest_move * 100:+.2f} % in the bar of {report.largest_move_at}"
        )
    return lines
