"""What a ledger may hold.

A database can be intact and hold values that no release of this tool has written: a flipped bit, an edit by hand.  All
that is read goes through this module, so that such a value is refused where it stands and is never traded on.
"""

import json
import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from crypto_refactor.errors import UsageError
from crypto_refactor.execution.stepper import SubAccountState
from crypto_refactor.market.hours import MAX_HOUR, parse_instant
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.ledger.order_record import OrderStatus
from crypto_refactor.trading.ledger.schema import state_from_json

Rule = Callable[[Any], bool]
"""Whether a value may stand where it stands."""

_LARGEST, _SMALLEST = 1e30, 1e-50
"""Bounds on amounts and prices.  Products of two stay finite, and above zero."""
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_TOKEN = re.compile("[0-9a-f]{8}")
_MODEL_KEY = re.compile(r"[A-Za-z0-9_-]{1,100}")


def _number(value: object) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool) and abs(value) <= _LARGEST


def _not_negative(value: object) -> bool:
    return _number(value) and (value == 0 or _positive(value))


def _positive(value: Any) -> bool:
    return _number(value) and bool(value >= _SMALLEST)


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _hour(value: Any) -> bool:
    return _whole(value) and 0 <= value <= MAX_HOUR


def _side(value: object) -> bool:
    return _whole(value) and value in {-1, 0, 1}


def _direction(value: object) -> bool:
    return _side(value) and value != 0


def _switch(value: object) -> bool:
    return isinstance(value, bool)


def _text(value: object) -> bool:
    return isinstance(value, str) and not _UNPRINTABLE.search(value)


def _model_key(value: object) -> bool:
    return isinstance(value, str) and bool(_MODEL_KEY.fullmatch(value))


def _instant(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(parse_instant(value))
    except ValueError:
        return False


def _utc_instant(value: object) -> bool:
    try:
        return isinstance(value, str) and value.endswith("+00:00") and bool(datetime.fromisoformat(value))
    except ValueError:
        return False


def _or_none(rule: Rule) -> Rule:
    return lambda value: value is None or rule(value)


_STAGES = frozenset(stage.value for stage in OrderStatus)

RULES: Mapping[str, Mapping[str, Rule]] = {
    "accounts": {"name": _text, "opened_at": _instant, "traded_at": _instant},
    "holdings": {"opened_with": _not_negative, "opened_at": _hour},
    "decisions": {"bar": _hour, "target": _side},
    "entry": {"bar": _hour, "target": _side, "cutoff": _or_none(_hour), "close": _positive, "reason": _text},
    "models": {"cutoff": _hour, "key": _model_key},
    "orders": {
        **dict.fromkeys(("client_order_id", "leg", "reason", "detail"), _text),
        "bar": _hour,
        "side": _direction,
        "notional": _or_none(_positive),
        "quantity": _or_none(_positive),
        "decided_at": lambda value: value == "" or _instant(value),
        "decided_price": _or_none(_positive),
        "sent_at": _instant,
        "stage": _STAGES.__contains__,
        "filled_quantity": _not_negative,
        "average_price": _or_none(_not_negative),
    },
    "fills": {
        "at": _hour,
        "side": _direction,
        "quantity": _not_negative,
        "price": _not_negative,
        "fee": _number,
        "reason": _text,
        "after": _or_none(_hour),
    },
    "trades": {
        "direction": _direction,
        "entered": _hour,
        "entry_price": _positive,
        "exited": _hour,
        "exit_price": _not_negative,
        "quantity": _positive,
        "fees": _number,
        "exit_reason": _text,
    },
    "settings": {"bar": _hour},
    "known_bars": {
        "bar": _hour,
        **dict.fromkeys(("open", "high", "low", "close"), _positive),
        "volume": _not_negative,
        "synthetic": lambda value: _whole(value) and value in {0, 1},
        "protection": _or_none(_positive),
    },
    "events": {
        "after": _hour,
        "fills": lambda value: _whole(value) and value >= 0,
        "kind": _text,
        "amount": _not_negative,
    },
    "plan": {
        **dict.fromkeys(("signal", "forecast_side"), _side),
        **dict.fromkeys(("exceeds_cost", "decidable"), _switch),
        "keep": _or_none(
            lambda value: isinstance(value, list) and len(value) == 2 and all(map(_switch, value))
        ),
    },
    "identity": {"token": lambda value: isinstance(value, str) and bool(_TOKEN.fullmatch(value))},
    "reviews": {"through": _instant, "accepted": lambda value: _whole(value) and value in {0, 1}},
    "external_sales": {"broker_order_id": _text, "quantity": _not_negative},
    "forecasts": {
        "bar": _hour,
        "model": _text,
        "close": _positive,
        "predicted": _positive,
        "low": _or_none(_positive),
        "high": _or_none(_positive),
        "confidence": lambda value: _number(value) and 0.5 <= value <= 1,
        "made_at": lambda value: value == "" or _utc_instant(value),
    },
    "equity": {"bar": _hour, "equity": _number},
    "sub-account": {
        **dict.fromkeys(("cash", "peak_equity", "quantity", "open_fees"), _number),
        **dict.fromkeys(("side", "blocked_side"), _side),
        **dict.fromkeys(("halted", "ruined"), _switch),
        "average_price": _not_negative,
        "entry_hour": _hour,
    },
    "pending": {"reason": _text, "side": _direction, "fraction": _positive},
}
"""The rules of each table, and of what its JSON columns hold, by column; a column without a rule is of another kind."""


def checked_row(table: str, names: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    """Return a row by its columns.

    Raises
    ------
    ValueError
        If one of its values may not stand there.
    """
    values = dict(zip(names, row, strict=True))
    _check(table, values)
    if table == "orders":
        given, other = ("notional", "quantity") if values["side"] > 0 else ("quantity", "notional")
        fits = values[given] is not None and values[other] is None
        _require(fits, "a buy names an amount of money, and a sale a quantity")
    return values


def checked_forecast(names: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    """Return a row of `forecasts` by its columns, as `checked_row` does; there are many of them."""
    values = dict(zip(names, row, strict=True))
    prices = [values[name] for name in ("close", "predicted", "low", "high")]
    usual = (
        type(values["bar"]) is int
        and 0 <= values["bar"] <= MAX_HOUR
        and all(type(price) is float and _SMALLEST <= price <= _LARGEST for price in prices)
        and type(values["confidence"]) is float
        and 0.5 <= values["confidence"] <= 1
        and isinstance(values["model"], str)
        and values["model"].isalnum()
        and _utc_instant(values["made_at"])
    )
    return values if usual else checked_row("forecasts", names, row)


def _check(table: str, values: Mapping[str, Any]) -> None:
    for name, rule in RULES[table].items():
        if name in values and not rule(values[name]):
            raise ValueError(f"{name} in {table} is {_shown(values[name])}")


def _shown(value: object) -> str:
    try:
        text = ascii(value)
    except ValueError:  # an integer with more digits than Python turns into text
        text = "out of range"
    return text if len(text) <= 60 else f"{text[:60]}…"


def checked_object(text: object, rules: str | None = None) -> dict[str, Any]:
    """Return a JSON object of a column.

    Raises
    ------
    ValueError
        If it is none, or holds what JSON documents of this tool never hold.
    """
    try:
        values: Any = json.loads(text) if isinstance(text, str) else None
        _require(isinstance(values, dict), "it is no JSON object")
        _check_parts(values)
    except RecursionError as error:
        raise ValueError("JSON is nested too deeply") from error
    if rules is not None:
        _check(rules, values)
    plan = values.get("plan") if rules == "entry" else None
    if plan is not None:
        _require(isinstance(plan, dict) and plan.keys() == RULES["plan"].keys(), "its plan is incomplete")
        _check("plan", plan)
    return dict(values)


def _require(holds: bool, reason: str) -> None:
    if not holds:
        raise ValueError(reason)


def _check_parts(value: Any) -> None:
    if isinstance(value, Mapping):
        _check_parts(list(value))
        _check_parts(list(value.values()))
    elif isinstance(value, list):
        for part in value:
            _check_parts(part)
    elif (isinstance(value, str) and not _text(value)) or (
        isinstance(value, float | int) and not abs(value) <= _LARGEST  # NaN is not, either
    ):
        raise ValueError(f"{_shown(value)} is not printable, or out of range")


def checked_ticker(name: object) -> Ticker:
    """Return the ticker that a column names; raise ValueError if it names none."""
    try:
        if isinstance(name, str) and str(ticker := Ticker.parse(name)) == name:
            return ticker
    except UsageError:
        pass
    raise ValueError(f"{_shown(name)} is not a ticker")


def checked_state(text: object) -> SubAccountState:
    """Return the state of a sub-account; raise ValueError if it is none."""
    checked_object(text)
    try:
        state = state_from_json(str(text))
    except (TypeError, KeyError) as error:
        raise ValueError(f"it is no state: {error}") from error
    account = state.account
    _check("sub-account", account._asdict())
    flat_or_held = not account.side or (account.side * account.quantity > 0 and account.average_price > 0)
    _require(flat_or_held, "its side, quantity and average price contradict each other")
    for decision in state.pending:
        _check("pending", {name: getattr(decision, name) for name in decision.__slots__})
    _require(_hour(state.processed_through), f"its last bar is {_shown(state.processed_through)}")
    return state


def checked_about(text: object) -> dict[str, Any]:
    """Return what an account was traded with; raise ValueError if it is not that."""
    about = checked_object(text)
    _require(isinstance(about.get("source"), str | None), "the source of its bars is no text")
    return about


def problem(connection: sqlite3.Connection) -> str | None:
    """Return what is wrong with the accounts and sub-accounts of a ledger, None if nothing is."""
    try:
        columns = tuple(RULES["accounts"])
        for *row, about in connection.execute(f"SELECT {', '.join(columns)}, about FROM accounts"):  # noqa: S608
            checked_row("accounts", columns, row)
            checked_about(about)
        columns = tuple(RULES["holdings"])
        query = f"SELECT {', '.join(columns)}, ticker, state FROM holdings"  # noqa: S608 - own names
        for *row, ticker, state in connection.execute(query):
            checked_row("holdings", columns, row)
            checked_ticker(ticker)
            checked_state(state)
    except (ValueError, sqlite3.Error) as error:
        return str(error)
    return None
