"""A reconciliation as JSON, and its headline."""

from typing import Any

from crypto_refactor.market.hours import to_iso
from crypto_refactor.report.formatting import percent
from crypto_refactor.trading.manual.reconcile import HoldingDifference, Reconciliation
from crypto_refactor.trading.reconciliation.causes import Cause, CauseMoney
from crypto_refactor.trading.reconciliation.result import CENT, AccountReconciliation, TickerReconciliation

_NAMES = {
    Cause.MODEL: "other models",
    Cause.BARS: "revised bars",
    Cause.HALTS: "halts",
    Cause.MANUAL: "by hand",
    Cause.ORDERS: "partial fills",
    Cause.LATE: "late decisions",
    Cause.SIZES: "order sizes",
}


def headline(result: AccountReconciliation) -> str:
    """Return the difference and its causes in one line: the largest first, in per cent of the start."""
    both = f"backtest {percent(result.backtest_return, signed=True)}, account {percent(result.account_return, signed=True)}"
    moved = [each for each in result.causes if abs(each.money) >= CENT]
    parts = [
        f"{_name(each)} {_points(result, each.money)}"
        for each in sorted(moved, key=lambda each: -abs(each.money))
    ]
    if not result.explained:
        parts.append(f"no cause {_points(result, result.unexplained)}")
    return f"{both}: {', '.join(parts) or 'no difference'}"


def _name(cause: CauseMoney) -> str:
    if cause.cause is Cause.MISSED:
        count = len(cause.hours)
        return f"{count} missed hour{'' if count == 1 else 's'}"
    return _NAMES.get(cause.cause, str(cause.cause))


def _points(result: AccountReconciliation, money: float) -> str:
    return percent(money / result.start + 0.0, signed=True)


def is_explained_by_fees(difference: HoldingDifference, result: AccountReconciliation) -> bool:
    """Whether the coins that Alpaca holds beyond the ledger are those of fees lower than assumed."""
    extra = next((part.extra_coins for part in result.tickers if part.ticker == difference.ticker), 0.0)
    more = difference.broker - difference.ledger
    return more > 0 and extra > 0 and more <= extra * 1.01


def holdings_agree(holdings: Reconciliation, result: AccountReconciliation) -> bool:
    """Whether ledger and Alpaca hold the same, but for what fees explain."""
    named = all(is_explained_by_fees(each, result) for each in holdings.differences)
    return named and not holdings.foreign_orders and not holdings.cash_missing


def reconciliation_json(result: AccountReconciliation, holdings: Reconciliation | None) -> dict[str, Any]:
    """Return a reconciliation; `holdings` compares ledger and broker, None where there is none or it gave no answer."""
    return {
        "schema": 1,
        "account": result.account,
        "simulated": result.simulated,
        "headline": headline(result),
        "explained": result.explained,
        "start": result.start,
        "backtest_return": result.backtest_return,
        "account_return": result.account_return,
        "causes": [_cause(result, each) for each in result.causes],
        "unexplained": result.unexplained,
        "tickers": [_ticker(part) for part in result.tickers],
        "missing": dict(result.missing),
        "notes": list(result.notes),
        **_holdings(holdings, result),
    }


def _cause(result: AccountReconciliation, cause: CauseMoney) -> dict[str, Any]:
    return {
        "cause": str(cause.cause),
        "text": cause.cause.text,
        "money": cause.money,
        "share": cause.money / result.start,
        "hours": [
            {"ticker": str(ticker), "hour": to_iso(each.hour), "text": each.text, "bps": each.bps}
            for ticker, each in result.hours_of(cause.cause)
        ],
    }


def _ticker(part: TickerReconciliation) -> dict[str, Any]:
    since = part.unexplained_since
    return {
        "ticker": str(part.ticker),
        "first": to_iso(part.first),
        "end": to_iso(part.end),
        "start": part.start,
        "backtest": part.backtest,
        "account": part.account,
        "causes": {str(each.cause): each.money for each in part.causes},
        "unexplained": part.unexplained,
        "unexplained_since": None if since is None else to_iso(since),
    }


def _holdings(holdings: Reconciliation | None, result: AccountReconciliation) -> dict[str, Any]:
    if holdings is None:
        return {"agrees": None, "cash": None, "differences": [], "foreign_orders": []}
    return {
        "agrees": holdings_agree(holdings, result),
        "cash": {
            "ledger": holdings.cash,
            "buying_power": holdings.buying_power,
            "accepted": holdings.accepted,
            "missing": holdings.cash_missing,
        },
        "differences": [
            {
                "ticker": str(each.ticker),
                "ledger": each.ledger,
                "broker": each.broker,
                "cause": str(Cause.FEES) if is_explained_by_fees(each, result) else None,
            }
            for each in holdings.differences
        ],
        "foreign_orders": list(holdings.foreign_orders),
    }


def acceptance_json(account: str, holdings: Reconciliation, *, accepted: bool) -> dict[str, Any]:
    """Return the holdings of ledger and broker alone, and what was booked of their difference."""
    return {
        "schema": 1,
        "account": account,
        "agrees": holdings.agrees,
        "accepted": accepted,
        "differences": [
            {"ticker": str(each.ticker), "ledger": each.ledger, "broker": each.broker}
            for each in holdings.differences
        ],
        "foreign_orders": list(holdings.foreign_orders),
        "booked": {
            str(ticker): [fill.to_dict() for fill in booked.fills]
            for ticker, booked in holdings.booked.items()
        },
    }
