"""In which hours each cause was at work, and what happened there, in words."""

from collections.abc import Iterator

from crypto_refactor.price_text import price_text
from crypto_refactor.trading.ledger import LedgerEvent
from crypto_refactor.trading.reconciliation.causes import Cause, CauseHour
from crypto_refactor.trading.reconciliation.course import Course, average_price
from crypto_refactor.trading.reconciliation.due import DueDecision, DueDecisions
from crypto_refactor.trading.reconciliation.fees import FeeDifference
from crypto_refactor.trading.reconciliation.life import BY_HAND, Life

_BPS = 0.05
"""A fill nearer to the open than this is at the open, in basis points."""
_EVENT_TEXTS = {
    LedgerEvent.RESUMED: (Cause.MANUAL, "the drawdown halt was lifted"),
    LedgerEvent.CLOSE_ORDERED: (Cause.MANUAL, "`close` or `panic` replaced what was pending"),
    LedgerEvent.HALTED_BETWEEN: (Cause.PROTECTIONS, "the drawdown halted entries between two closes"),
}


def hours_at_work(
    life: Life, due: DueDecisions, course: Course, fees: FeeDifference
) -> tuple[CauseHour, ...]:
    """Return what was different in each hour, in order.

    Parameters
    ----------
    life, due : Life, DueDecisions
        What happened, and what should have.
    course : Course
        The run in which every cause is swapped in.
    fees : FeeDifference
        Fees charged against fees assumed.
    """
    found = [
        *_decisions(life, due),
        *_bars(life, due),
        *_happenings(life),
        *_orders(life),
        *_fills(life, due, course),
        *fees.days,
    ]
    # What was decided or done at the last close shows at the next one.
    shown = (each for each in found if each.hour < life.end or each.cause is Cause.BARS)
    return tuple(sorted(shown, key=lambda each: each.hour))


def _decisions(life: Life, due: DueDecisions) -> Iterator[CauseHour]:
    for hour in sorted({*life.decisions, *due.by_hour}):
        row, expected = life.decisions.get(hour), due.by_hour.get(hour)
        if row is None:
            text = (
                "no decision was made; its bar was not there"
                if _was_missing(life, hour)
                else "no decision was made"
            )
            yield CauseHour(Cause.MISSED, hour, text)
            continue
        if expected is not None and row["model"] != expected.model and "signal" in row:
            yield CauseHour(Cause.MODEL, hour, _model_text(row, expected))
        if (expected is not None and row["bars"] != expected.bars) or (expected is None and "signal" in row):
            yield CauseHour(Cause.BARS, hour, "decided on bars that were revised since")
        if "blocked" in row:
            yield CauseHour(Cause.HALTS, hour, f"not entered: {row['blocked']}")


def _was_missing(life: Life, hour: int) -> bool:
    bars = life.bars
    return bool(bars.synthetic[bars.closed == hour].any())


def _model_text(row: dict[str, object], due: DueDecision) -> str:
    if row["late_model"]:
        return f"late: {row['model']}, of an earlier cut-off, decided in place of {due.model}"
    if row["key"] != due.key:
        return f"{row['model']} was trained on bars that were revised since; today they give {due.model}"
    return f"{row['model']} decided, and trained again it is {due.model}"


def _bars(life: Life, due: DueDecisions) -> Iterator[CauseHour]:
    now = {int(hour): row for row, hour in enumerate(due.bars.closed)}
    for row, hour in enumerate(life.bars.closed.tolist()):
        if life.bars.synthetic[row] or hour not in now or due.bars.synthetic[now[hour]]:
            continue
        for name in ("open", "close"):
            then, today = (
                float(getattr(bars, name)[at]) for bars, at in ((life.bars, row), (due.bars, now[hour]))
            )
            if then != today:
                text = f"its {name} was {price_text(then)} and is {price_text(today)} now"
                yield CauseHour(Cause.BARS, hour, text)


def _happenings(life: Life) -> Iterator[CauseHour]:
    for happening in life.happenings:
        event, fill = happening.event, happening.fill
        if fill is not None:
            by_hand = fill.reason in BY_HAND
            verb = "bought" if fill.side > 0 else "sold"
            text = f"{verb} {fill.quantity:.9g} at {price_text(fill.price)}, reason {fill.reason}"
            yield CauseHour(Cause.MANUAL if by_hand else Cause.PROTECTIONS, happening.after, text)
        elif event is not None and event.kind in _EVENT_TEXTS:
            cause, text = _EVENT_TEXTS[LedgerEvent(event.kind)]
            yield CauseHour(cause, happening.after, text)


def _orders(life: Life) -> Iterator[CauseHour]:
    for (hour, _), outcome in life.outcomes.items():
        if outcome.fraction < 1:
            yield CauseHour(Cause.ORDERS, hour, outcome.text)


def _fills(life: Life, due: DueDecisions, course: Course) -> Iterator[CauseHour]:
    """Yield each fill that was not at the open; bars of the past are always filled there."""
    if not life.realtime:
        return
    opens = open_prices(due)
    for (hour, kind), fills in course.fills.items():
        if not fills:
            continue
        late = bool(life.decisions.get(hour, {}).get("late"))
        cause, price = Cause.LATE if late else Cause.FILLS, average_price(fills)
        opened = opens.get(hour)
        if opened is None:
            yield CauseHour(cause, hour, f"{kind} at {price_text(price)}, and no bar followed")
            continue
        bps = (price / opened - 1) * 1e4
        expected = fills[0].side * life.rules(hour).slippage_bps
        if abs(bps - expected) >= _BPS:
            text = f"{kind} at {price_text(price)}, {bps:+.1f} bp from the open of {price_text(opened)}"
            yield CauseHour(cause, hour, text, bps)


def open_prices(due: DueDecisions) -> dict[int, float]:
    """Return the open of each real bar by the close it follows."""
    bars = due.bars.without_synthetic()
    return dict(zip(bars.opened.tolist(), bars.open.tolist(), strict=True))
