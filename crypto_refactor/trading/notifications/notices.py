"""Notices: what people at a distance are told of runs, orders and signals, as plain values for JSON."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from crypto_refactor.errors import CryptoRefactorError
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.price_text import price_text
from crypto_refactor.sides import Side
from crypto_refactor.signals.signal import Signal
from crypto_refactor.trading.brokers import UnknownOutcomeError
from crypto_refactor.trading.explanations import ledger_record
from crypto_refactor.trading.ledger import OrderStatus
from crypto_refactor.trading.outcomes import Failure, TickerOutcome, TickerRow, Unavailable

SCHEMA = 1
Notice = dict[str, Any]
"""Keys: `schema`, `kind`, `ticker`, `account`, `bar`, `text`, and those of its kind; see docs/notifications.md."""


def notices(row: TickerRow) -> list[Notice]:
    """Return the notices of one ticker's row; often none.

    They are fills, refused orders, a drawdown halt, a failure and, where no account is traded, the signal.
    """
    if isinstance(row, Unavailable):
        return []
    if isinstance(row, Failure):
        return [of_failure(row.error, *row.tickers)]
    return list(_outcome_notices(row) if row.account is not None else _signal_notices(row))


def of_failure(error: CryptoRefactorError, *tickers: Ticker) -> Notice:
    """Return the notice of what tickers ended in: a failure or, of an order, an unknown outcome."""
    kind = "unknown_outcome" if isinstance(error, UnknownOutcomeError) else "failure"
    details: Any = {"code": error.exit_code, "remedy": error.remedy}
    names = list(map(str, tickers))
    if len(names) == 1:
        return _notice(kind, names[0], error.what, **details)
    text = f"{', '.join(names)}: {error.what}"
    return {**_notice(kind, None, text, **details, tickers=names), "text": text}


def of_signal(signal: Signal) -> Notice:
    """Return the notice of a signal, for people who trade by hand."""
    details = {
        "signal": signal.signal,
        "confidence": signal.confidence,
        "close": signal.current_price,
        "predicted": signal.predicted_price,
        "interval": list(signal.interval),
        "threshold": signal.threshold,
        "confirmations": signal.passed,
        "conditions": dict(signal.conditions),
        "worth_a_trade": signal.worth_a_trade,
        "model": signal.model.fingerprint,
    }
    worth = "" if signal.worth_a_trade else "; the expected move does not pay a round trip"
    details |= {"simulated": True} if signal.simulated else {}
    return _signal_notice(signal.ticker, signal.decided_at, details, f"{signal.required} needed{worth}")


def of_test() -> Notice:
    """Return the notice by which a person sees that notices arrive."""
    text = "this is a test: notices of crypto-refactor arrive here"
    return {**_notice("test", None, text), "text": text[0].upper() + text[1:] + "."}


def stamped(notice: Mapping[str, Any]) -> Notice:
    """Return a notice with the time it is made `at`: it may be delivered later."""
    return {**notice, "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}


def of_account(account: str, text: str) -> Notice:
    """Return the notice that entries of a whole account are halted, or allowed again."""
    return {**_notice("halt", None, text, account=account), "text": f"{account}: {text}"}


def of_run(
    kind: str, text: str, *, account: str | None, ticker: Ticker | None = None, **details: Any
) -> Notice:
    """Return the notice on a whole run, or on a ticker of it: start, heartbeat, summary, alarm, stop and the like."""
    notice = _notice(kind, None if ticker is None else str(ticker), text, account=account, **details)
    return notice if ticker is not None else {**notice, "text": f"{account or 'No account'}: {text}"}


def _outcome_notices(row: TickerOutcome) -> Iterator[Notice]:
    for fill in row.fills:
        verb = "bought" if fill.side > 0 else "sold"
        text = f"{verb} {fill.quantity:.9g} {row.ticker.base} at {price_text(fill.price)}, {fill.reason}"
        yield _outcome_notice("fill", row, text, fill=fill.to_dict())
    for order in row.orders:
        if order.stage is OrderStatus.REFUSED:
            yield _outcome_notice("refused", row, order.detail, client_order_id=order.client_order_id)
    if row.newly_halted and row.sub_account is not None:
        text = "entries are halted by the drawdown until `crypto-refactor resume`"
        yield _outcome_notice("halt", row, text, equity=row.equity, peak_equity=row.sub_account.peak_equity)


def _signal_notices(row: TickerOutcome) -> Iterator[Notice]:
    """Yield the signal of a row that trades nothing; a bar that cannot be decided on has none."""
    if row.decision is None or not len(row.decision.signals):
        return
    record, signals = ledger_record(row.decision, row.reason), row.decision.signals
    shared = (
        "signal",
        "confidence",
        "close",
        "predicted",
        "threshold",
        "confirmations",
        "conditions",
        "model",
    )
    details = {name: record[name] for name in shared}
    details |= {"interval": [float(signals.low[-1]), float(signals.high[-1])], "target": row.target}
    details |= {"simulated": True} if row.simulated else {}
    yield _signal_notice(str(row.ticker), row.bar, details, row.reason)


def _signal_notice(ticker: str, bar: int, details: Mapping[str, Any], why: str) -> Notice:
    close, predicted = details["close"], details["predicted"]
    text = (
        f"{Side(details['signal']).label} until {to_iso(bar + 1)}, confidence {details['confidence']:.2f}; forecast "
        f"{price_text(close)} -> {price_text(predicted)} ({predicted / close - 1:+.3%}), "
        f"{details['confirmations']} confirmations; {why}"
    )
    return _notice("signal", ticker, text, bar=bar, target_at=to_iso(bar + 1), **details)


def _outcome_notice(kind: str, row: TickerOutcome, text: str, **details: Any) -> Notice:
    if row.simulated:
        details = {"simulated": True, **details}
    return _notice(kind, str(row.ticker), text, account=row.account, bar=row.bar, **details)


def _notice(
    kind: str,
    ticker: str | None,
    text: str,
    *,
    account: str | None = None,
    bar: int | None = None,
    **details: Any,
) -> Notice:
    mark = "SIMULATED: " if details.get("simulated") else ""
    return {
        "schema": SCHEMA,
        "kind": kind,
        "ticker": ticker,
        "account": account,
        "bar": None if bar is None else to_iso(bar),
        "text": f"{mark}{ticker}: {text}",
        **details,
    }
