"""Hold an account against the backtest of its own lifetime, and explain the difference to the cent.

The causes are swapped in one after the other, each beside all before it; the money of a cause is what the equity at the
end changes by.  So their sum is the difference between backtest and fully substituted run, and what is left between that
run and the ledger has no cause.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from crypto_refactor.errors import CryptoRefactorError, DataError, SourceFailedError
from crypto_refactor.execution.sub_account import Fill
from crypto_refactor.market.hours import to_datetime, to_iso
from crypto_refactor.market.sources.base import Source
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.cache import ModelProvider
from crypto_refactor.trading.account_names import is_at_broker
from crypto_refactor.trading.account_status import is_simulated
from crypto_refactor.trading.brokers import Broker, FeeCharge
from crypto_refactor.trading.ledger import AccountRow, Ledger
from crypto_refactor.trading.reconciliation.causes import Cause, CauseHour, CauseMoney
from crypto_refactor.trading.reconciliation.course import Course, average_price, run_course
from crypto_refactor.trading.reconciliation.due import DueDecisions, due_decisions
from crypto_refactor.trading.reconciliation.evidence import hours_at_work
from crypto_refactor.trading.reconciliation.fees import FeeDifference, fee_difference
from crypto_refactor.trading.reconciliation.life import Life, NotKeptError, read_life
from crypto_refactor.trading.reconciliation.result import (
    CENT,
    AccountReconciliation,
    HourRow,
    HourSide,
    TickerReconciliation,
)
from crypto_refactor.trading.reconciliation.segments import Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a reconciliation works with.

    Attributes
    ----------
    source : callable
        Returns the bars' source of a segment.
    models : callable
        Returns the models of a segment.
    broker : Broker or None
        Of an account at Alpaca, for the fees it charged; None elsewhere.
    now : datetime
        The aware time.
    stored : callable or None
        Returns the source of a segment's bars that needs no network, where `source` may fail for want of one.
    """

    source: Callable[[Segment], Source]
    models: Callable[[Segment], ModelProvider]
    broker: Broker | None
    now: datetime
    stored: Callable[[Segment], Source] | None = None


def reconcile_account(
    ledger: Ledger,
    row: AccountRow,
    means: Means,
    *,
    tickers: Sequence[Ticker] | None = None,
    since: int | None = None,
) -> AccountReconciliation:
    """Reconcile every sub-account of an account, or those of `tickers`, from the hour `since` on.

    What cannot be had (bars, models, fees) is named in the result, and holds up nothing else.

    Raises
    ------
    BrokerError
        If the ledger cannot be read.
    """
    missing: dict[str, str] = {}
    notes: list[str] = []
    lives: list[tuple[Life, bool]] = []
    for ticker in ledger.states(row.name):
        if tickers is not None and ticker not in tickers:
            continue
        try:
            life = read_life(ledger, row, ticker)
        except NotKeptError as error:
            notes.append(f"{error.what.removesuffix('.')}: {error.remedy.removesuffix('.')}")
            continue
        opening = ledger.opening(row.name, ticker)
        lives.append((life, opening is not None and opening.at == life.first))
    charges = _charges(means, [life for life, _ in lives], missing) if is_at_broker(row.name) else None
    found = []
    for life, whole in lives:
        try:
            due = _due(life, means, missing)
            found.append(_reconcile(life, due, means, charges, since, since_opening=whole))
        except CryptoRefactorError as error:
            missing[str(life.ticker)] = error.what
    return AccountReconciliation(
        account=row.name,
        simulated=is_simulated(row),
        tickers=tuple(found),
        missing=missing,
        notes=(*notes, *_notes(found)),
    )


def _charges(means: Means, lives: Sequence[Life], missing: dict[str, str]) -> tuple[FeeCharge, ...] | None:
    """Return what the broker charged over these lives; None where that cannot be known now."""
    if means.broker is None or not lives:
        return None
    try:
        return means.broker.fees_since(to_datetime(min(life.first for life in lives)))
    except CryptoRefactorError as error:
        missing["fees"] = f"{error.what} The fees assumed stand in for those charged."
        return None


def _due(life: Life, means: Means, missing: dict[str, str]) -> DueDecisions:
    """Return what was due on the bars as they are now, or as they are stored while the source does not answer."""
    models = {part: means.models(part) for part in life.segments}
    try:
        return due_decisions(life, means.source(life.segments[-1]), models)
    except SourceFailedError as error:
        if means.stored is None:
            raise
        due = due_decisions(life, means.stored(life.segments[-1]), models)
        missing["bars of today"] = f"{error.what} Those that are stored here stand in for them."
        return due


def _notes(found: Sequence[TickerReconciliation]) -> list[str]:
    notes = [
        f"{part.ticker}: an earlier version kept no settings; reconciled from {to_iso(part.first)} on"
        for part in found
        if not part.since_opening
    ]
    notes += [
        f"{part.ticker}: {part.trained} missing model{'s were' if part.trained > 1 else ' was'} trained again"
        for part in found
        if part.trained
    ]
    return notes


def _reconcile(
    life: Life,
    due: DueDecisions,
    means: Means,
    charges: Sequence[FeeCharge] | None,
    since: int | None,
    *,
    since_opening: bool,
) -> TickerReconciliation:
    fees = FeeDifference() if charges is None else fee_difference(life, charges, means.now)
    if since is not None and since > life.first:
        life, due = _later_part(life, due, since)
        fees = fees.since(life.first)
    courses = [run_course(life, due, tuple(Cause)[:count]) for count in range(len(Cause) + 1)]
    ideal, final = courses[0], courses[-1]
    ends = [_end(course, life) for course in courses]
    extra = fees.at(life.end, float(life.bars.close[-1]))
    work = hours_at_work(life, due, final, fees)
    causes = []
    for cause, before, after in zip(Cause, ends, ends[1:], strict=False):
        money = after - before + (extra if cause is Cause.FEES else 0.0)
        hours = tuple(each for each in work if each.cause is cause)
        if hours or abs(money) >= CENT:
            causes.append(CauseMoney(cause=cause, money=money, hours=hours))
    recorded = life.marks[life.end]
    return TickerReconciliation(
        ticker=life.ticker,
        first=life.first,
        end=life.end,
        since_opening=since_opening,
        start=life.marks[life.first],
        backtest=ends[0],
        account=recorded + extra,
        causes=tuple(causes),
        unexplained=recorded - ends[-1],
        unexplained_since=_first_unexplained(life, final),
        rows=tuple(_rows(life, due, ideal, fees, work)),
        extra_coins=fees.coins(life.end),
        trained=due.trained,
    )


def _later_part(life: Life, due: DueDecisions, since: int) -> tuple[Life, DueDecisions]:
    """Return what lies at `since` or later, from where the account was then."""
    first = next((hour for hour in sorted(life.decisions) if hour >= since), None)
    final = run_course(life, due, tuple(Cause))
    if first is None or first not in final.before:
        raise DataError(
            f"{life.ticker} was not decided on at {to_iso(since)} or later.",
            expected=f"an hour up to {to_iso(life.end)}.",
            remedy="choose an earlier --since.",
        )
    by_hour = {hour: decision for hour, decision in due.by_hour.items() if hour >= first}
    later = replace(due, bars=due.bars.between(first - 1, life.end), by_hour=by_hour)
    return life.since(first, final.before[first]), later


def _end(course: Course, life: Life) -> float:
    """Return the equity at the end of the life; the last known one where bars have been withdrawn."""
    return course.equity[max(course.equity)] if course.equity else life.marks[life.first]


def _first_unexplained(life: Life, final: Course) -> int | None:
    return next(
        (
            hour
            for hour, recorded in sorted(life.marks.items())
            if hour > life.first and abs(recorded - final.equity.get(hour, float("inf"))) >= CENT
        ),
        None,
    )


def _rows(
    life: Life, due: DueDecisions, ideal: Course, fees: FeeDifference, work: Sequence[CauseHour]
) -> list[HourRow]:
    causes: dict[int, list[Cause]] = {}
    for each in work:
        if each.cause not in causes.setdefault(each.hour, []):
            causes[each.hour].append(each.cause)
    closes = dict(zip(life.bars.closed.tolist(), life.bars.close.tolist(), strict=True))
    rows, start = [], life.marks[life.first]
    backtest = account = start
    for hour in sorted({life.first, *life.marks, *ideal.equity}):
        close = closes.get(hour)
        backtest = ideal.equity.get(hour, backtest)
        if hour in life.marks:
            account = life.marks[hour] + (0.0 if close is None else fees.at(hour, close))
        rows.append(
            HourRow(
                ticker=life.ticker,
                hour=hour,
                close=close,
                backtest=_due_side(due, ideal, hour, backtest),
                account=_recorded_side(life, hour, account),
                causes=tuple(causes.get(hour, ())),
            )
        )
    return rows


def _due_side(due: DueDecisions, ideal: Course, hour: int, equity: float) -> HourSide:
    decision = due.by_hour.get(hour)
    price, quantity = _filled(
        [fill for (at, _), fills in ideal.fills.items() if at == hour for fill in fills]
    )
    return HourSide(
        equity=equity,
        signal=None if decision is None else decision.signal.signal,
        target=ideal.targets.get(hour),
        held=ideal.sides.get(hour),
        price=price,
        quantity=quantity,
        model=None if decision is None else decision.model,
        bars=None if decision is None else decision.bars,
    )


def _recorded_side(life: Life, hour: int, equity: float) -> HourSide:
    row = life.decisions.get(hour, {})
    price, quantity = _filled([booked.fill for booked in life.fills if booked.fill.at == hour])
    return HourSide(
        equity=equity,
        signal=row.get("signal"),
        target=row.get("target"),
        held=None,
        price=price,
        quantity=quantity,
        model=row.get("model"),
        bars=row.get("bars"),
    )


def _filled(fills: Sequence[Fill]) -> tuple[float | None, float | None]:
    if not fills:
        return None, None
    return average_price(fills), sum(fill.side * fill.quantity for fill in fills)
