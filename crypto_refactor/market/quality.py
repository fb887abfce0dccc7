"""How complete the bars of a requested range are."""

from dataclasses import asdict, dataclass
from typing import Final

import numpy as np

from crypto_refactor.errors import DataError
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.hours import Hour, to_iso
from crypto_refactor.market.plausibility import Jump, find_jumps

MAX_ABSENT_SHARE: Final = 0.05
"""Largest share of a requested range that may lie in gaps without `allow_gaps`."""

STALE_HOURS: Final = 3
"""How long before the end of a range its last bar may have closed."""

_MISSING, _SYNTHETIC, _REAL = 0, 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Hours of the range without a real bar, between real bars.

    Attributes
    ----------
    start : str
        ISO-8601 UTC: when its first bar would have opened.
    hours : int
        Its length within the range.
    filled : bool
        Whether synthetic bars fill it; if not, it splits the series.
    """

    start: str
    hours: int
    filled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityReport:
    """The hours of a range by what they hold; ``late_hours + bars + synthetic + missing + stale_hours = expected``.

    Attributes
    ----------
    ticker, source : str
        The requested ticker and its source.
    simulated : bool
        Whether the bars come from the bundled simulation.
    start, end : str
        The requested range, ISO-8601 UTC.
    expected : int
        Hours in the range.
    bars, synthetic : int
        Real and forward-filled bars.
    missing : int
        Hours in gaps too long to be filled.
    gaps : tuple of Gap
        Every gap in the range, in time order.
    late_hours, stale_hours : int
        Hours before the first bar and after the last one.
    zero_volume : int
        Real bars without a trade.
    first, last : str or None
        When the first and the last bar opened, ISO-8601 UTC; None without bars.
    largest_move : float or None
        The largest change from one close to the next, a signed fraction; None without two bars in a row.
    largest_move_at : str or None
        When the bar of that move opened, ISO-8601 UTC.
    jumps : tuple of Jump
        Closes that jump, in time order.
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
    gaps: tuple[Gap, ...]
    late_hours: int
    stale_hours: int
    zero_volume: int
    first: str | None
    last: str | None
    largest_move: float | None
    largest_move_at: str | None
    jumps: tuple[Jump, ...] = ()

    @property
    def absent(self) -> int:
        """Hours inside gaps, filled or not."""
        return self.synthetic + self.missing

    @property
    def absent_share(self) -> float:
        """`absent` as a share of the range, 0 to 1."""
        return self.absent / self.expected

    @property
    def largest_gap(self) -> Gap | None:
        """The longest gap, the first of equals."""
        return max(self.gaps, key=lambda gap: gap.hours, default=None)

    def to_dict(self) -> dict[str, object]:
        """Return the documented JSON, in which gaps are holes and filled ones carried."""
        holes = [{"start": gap.start, "hours": gap.hours, "carried": gap.filled} for gap in self.gaps]
        document = {"holes" if name == "gaps" else name: value for name, value in asdict(self).items()}
        return document | {"holes": holes, "jumps": [jump.to_dict() for jump in self.jumps]}


def quality_report(bars: Bars, start: Hour, end: Hour) -> QualityReport:
    """Describe what the hours ``start … end - 1`` hold.

    Parameters
    ----------
    bars : Bars
        Bars as they were quoted, after `fill_gaps`, of this range or a longer one.
    start, end : Hour
        The requested range; `end` is the close of its last bar.

    Raises
    ------
    ValueError
        If the range is empty.
    """
    if end <= start:
        raise ValueError(f"the range {start} to {end} holds no hour")
    begin, stop = _covered(bars, start, end)
    jumps = find_jumps(bars.without_synthetic())
    bars = bars.between(start, end)
    gaps = _gaps(bars, begin, stop)
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
        missing=sum(gap.hours for gap in gaps if not gap.filled),
        gaps=gaps,
        late_hours=begin - start,
        stale_hours=end - stop,
        zero_volume=int(((bars.volume == 0) & ~bars.synthetic).sum()),
        first=to_iso(int(bars.opened[0])) if len(bars) else None,
        last=to_iso(int(bars.opened[-1])) if len(bars) else None,
        largest_move=move,
        largest_move_at=at,
        jumps=tuple(jump for jump in jumps if start <= jump.opened < end),
    )


def _covered(bars: Bars, start: Hour, end: Hour) -> tuple[Hour, Hour]:
    """Return the part of the range from the first to the last bar, empty where they lie outside."""
    if not len(bars) or bars.opened[0] >= end:
        return end, end
    if bars.closed[-1] <= start:
        return start, start
    return max(start, int(bars.opened[0])), min(end, int(bars.closed[-1]))


def _gaps(bars: Bars, begin: Hour, stop: Hour) -> tuple[Gap, ...]:
    state = np.full(stop - begin, _MISSING)
    state[bars.opened - begin] = np.where(bars.synthetic, _SYNTHETIC, _REAL)
    edges = np.concatenate([[0], np.flatnonzero(np.diff(state)) + 1, [len(state)]])
    return tuple(
        Gap(start=to_iso(begin + first), hours=after - first, filled=bool(state[first] == _SYNTHETIC))
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
    """Refuse a range of which more than 5 % lies in gaps.

    Raises
    ------
    DataError
        If it does and gaps are not allowed.
    """
    gap = report.largest_gap
    if allow_gaps or gap is None or report.absent_share <= MAX_ABSENT_SHARE:
        return
    raise DataError(
        f"{report.absent} of {report.expected} hours of {report.ticker} from {report.source} lie in gaps "
        f"({report.absent_share * 100:.1f} %); the largest starts at {gap.start} and lasts {gap.hours} h.",
        expected=f"at most {MAX_ABSENT_SHARE * 100:.0f} % of the hours from {report.start} to {report.end}.",
        remedy="choose another range or source, or accept the gaps with --allow-gaps.",
    )


def require_recent(bars: Bars, end: Hour) -> None:
    """Refuse bars the last of which closed more than `STALE_HOURS` before `end`.

    Raises
    ------
    DataError
        If it did; the message names it.
    """
    last = int(bars.closed[-1])
    if end - last > STALE_HOURS:
        raise DataError(
            f"The last {bars.ticker} bar from {bars.source} closed at {to_iso(last)}, {end - last} h before the end.",
            expected=f"a bar that closed at most {STALE_HOURS} h before {to_iso(end)}.",
            remedy=f"use --end {to_iso(last)} or earlier, omit --end, or choose another source.",
        )


def describe(report: QualityReport) -> list[str]:
    """Return the report as readable lines."""
    origin = f"{report.ticker} from {report.source}" + (" SIMULATED" if report.simulated else "")
    lines = [f"{origin}: {report.bars} bars in {report.expected} hours, {report.start} to {report.end}"]
    if report.first and report.last:
        lines.append(f"first bar opened {report.first}, last bar opened {report.last}")
    if report.late_hours:
        lines.append(f"the first {report.late_hours} h of the range have no bars")
    if report.stale_hours:
        lines.append(f"the last {report.stale_hours} h of the range have no bars")
    share = f"{report.absent_share * 100:.1f} % of the range in gaps"
    lines.append(f"{report.synthetic} h forward-filled, {report.missing} h missing ({share})")
    lines += [
        f"gap from {gap.start}, {gap.hours} h, {'forward-filled' if gap.filled else 'splits the series'}"
        for gap in report.gaps
    ]
    lines.append(f"{report.zero_volume} bars without volume")
    if report.largest_move is not None:
        move = f"{report.largest_move * 100:+.2f} %"
        lines.append(f"largest hourly move {move}, in the bar that opened {report.largest_move_at}")
    lines += [f"jump in the bar that opened {jump.text}" for jump in report.jumps]
    return lines
