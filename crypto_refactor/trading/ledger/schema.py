"""The tables of the ledger, and a sub-account's state as JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from crypto_refactor.errors import BrokerError
from crypto_refactor.execution.decisions import Decision, Enter, Exit
from crypto_refactor.execution.stepper import SubAccountState
from crypto_refactor.execution.sub_account import SubAccount, Trade
from crypto_refactor.storage import FileFormat


class LedgerUnavailableError(BrokerError):
    """The ledger is locked, or cannot be read or written now: time may mend it."""


_TABLES = (
    """
    CREATE TABLE accounts (
        name TEXT PRIMARY KEY, opened_at TEXT NOT NULL, traded_at TEXT NOT NULL,
        finished INTEGER NOT NULL DEFAULT 0, about TEXT NOT NULL
    ) WITHOUT ROWID""",
    """
    CREATE TABLE holdings (
        account TEXT NOT NULL, ticker TEXT NOT NULL, opened_with REAL NOT NULL, opened_at INTEGER NOT NULL,
        state TEXT NOT NULL, PRIMARY KEY (account, ticker)
    ) WITHOUT ROWID""",
    """
    CREATE TABLE decisions (
        account TEXT NOT NULL, ticker TEXT NOT NULL, bar INTEGER NOT NULL,
        target INTEGER NOT NULL, entry TEXT NOT NULL, PRIMARY KEY (account, ticker, bar)
    ) WITHOUT ROWID""",
    """
    CREATE TABLE models (
        account TEXT NOT NULL, ticker TEXT NOT NULL, cutoff INTEGER NOT NULL, key TEXT NOT NULL,
        PRIMARY KEY (account, ticker, cutoff)
    ) WITHOUT ROWID""",
    """
    CREATE TABLE orders (
        client_order_id TEXT PRIMARY KEY, account TEXT NOT NULL, ticker TEXT NOT NULL, bar INTEGER NOT NULL,
        leg TEXT NOT NULL, side INTEGER NOT NULL, notional REAL, quantity REAL, reason TEXT NOT NULL,
        sent_at TEXT NOT NULL, stage TEXT NOT NULL, filled_quantity REAL NOT NULL, average_price REAL,
        detail TEXT NOT NULL, decided_at TEXT NOT NULL DEFAULT '', decided_price REAL
    )""",
    "CREATE INDEX orders_of ON orders (account, ticker, stage)",
    """
    CREATE TABLE fills (
        account TEXT NOT NULL, ticker TEXT NOT NULL, at INTEGER NOT NULL, side INTEGER NOT NULL,
        quantity REAL NOT NULL, price REAL NOT NULL, fee REAL NOT NULL, reason TEXT NOT NULL
    )""",
    "CREATE INDEX fills_of ON fills (account, ticker)",
    """
    CREATE TABLE trades (
        account TEXT NOT NULL, ticker TEXT NOT NULL, direction INTEGER NOT NULL,
        entered INTEGER NOT NULL, entry_price REAL NOT NULL, exited INTEGER NOT NULL, exit_price REAL NOT NULL,
        quantity REAL NOT NULL, fees REAL NOT NULL, exit_reason TEXT NOT NULL
    )""",
    "CREATE INDEX trades_of ON trades (account, ticker)",
    """
    CREATE TABLE equity (
        account TEXT NOT NULL, ticker TEXT NOT NULL, bar INTEGER NOT NULL, equity REAL NOT NULL,
        PRIMARY KEY (account, ticker, bar)
    ) WITHOUT ROWID""",
)
_OWNERSHIP = (
    # One row: what tells this ledger's orders from those of every other ledger.
    "CREATE TABLE identity (token TEXT NOT NULL)",
    "INSERT INTO identity VALUES (lower(hex(randomblob(4))))",
    """
    CREATE TABLE reviews (
        account TEXT NOT NULL, ticker TEXT NOT NULL, through TEXT NOT NULL, accepted INTEGER NOT NULL,
        PRIMARY KEY (account, ticker)
    ) WITHOUT ROWID""",
    """
    CREATE TABLE external_sales (
        account TEXT NOT NULL, broker_order_id TEXT NOT NULL, ticker TEXT NOT NULL, quantity REAL NOT NULL,
        PRIMARY KEY (account, broker_order_id)
    ) WITHOUT ROWID""",
)
_FORECASTS = (
    # A series is an account, or a model that forecasts without one.
    """
    CREATE TABLE forecasts (
        series TEXT NOT NULL, ticker TEXT NOT NULL, bar INTEGER NOT NULL, model TEXT NOT NULL,
        close REAL NOT NULL, predicted REAL NOT NULL, low REAL, high REAL, confidence REAL NOT NULL,
        made_at TEXT NOT NULL, PRIMARY KEY (series, ticker, bar, model)
    ) WITHOUT ROWID""",
)
_FORECASTS_OF_DECISIONS = (
    # What earlier decisions say of their forecasts; where the close jumped, they were none.
    """
    INSERT OR IGNORE INTO forecasts
    SELECT account, ticker, bar, model, close, predicted, NULL, NULL, confidence, '' FROM (
        SELECT account, ticker, bar, json_extract(entry, '$.model') AS model, json_extract(entry, '$.close') AS close,
            json_extract(entry, '$.predicted') AS predicted, json_extract(entry, '$.confidence') AS confidence,
            json_extract(entry, '$.reason') AS reason
        FROM (SELECT account, ticker, bar, CASE WHEN json_valid(entry) THEN entry ELSE '{}' END AS entry FROM decisions)
    )
    WHERE typeof(model) = 'text' AND typeof(close) = 'real' AND typeof(predicted) = 'real'
        AND typeof(confidence) = 'real' AND reason NOT LIKE 'the close jumps%'""",
)
_RECONCILIATION = (
    # What a sub-account was traded with from the close `bar` on, and its state there before that decision.
    """
    CREATE TABLE settings (
        account TEXT NOT NULL, ticker TEXT NOT NULL, bar INTEGER NOT NULL, about TEXT NOT NULL, rules TEXT NOT NULL,
        state TEXT NOT NULL, PRIMARY KEY (account, ticker, bar)
    ) WITHOUT ROWID""",
    # Bars as they were known when they were processed; `protection` is NULL where protections waited.
    """
    CREATE TABLE known_bars (
        account TEXT NOT NULL, ticker TEXT NOT NULL, bar INTEGER NOT NULL, open REAL NOT NULL, high REAL NOT NULL,
        low REAL NOT NULL, close REAL NOT NULL, volume REAL NOT NULL, synthetic INTEGER NOT NULL, protection REAL,
        PRIMARY KEY (account, ticker, bar)
    ) WITHOUT ROWID""",
    # What changed a sub-account beside bars and fills: after which close, and after how many fills.
    """
    CREATE TABLE events (
        account TEXT NOT NULL, ticker TEXT NOT NULL, after INTEGER NOT NULL, fills INTEGER NOT NULL,
        kind TEXT NOT NULL, amount REAL NOT NULL
    )""",
    "CREATE INDEX events_of ON events (account, ticker)",
    # The close after which a fill was booked; NULL in ledgers of earlier versions.
    "ALTER TABLE fills ADD COLUMN after INTEGER",
)
STATE_TABLES = (
    *("holdings", "decisions", "models", "orders", "fills", "trades", "equity"),
    *("settings", "known_bars", "events"),
)
"""Tables whose rows belong to a sub-account; a replay that starts again deletes them."""

FORMAT = FileFormat(
    name="ledger",
    application_id=0x43524C47,
    schema=3,
    tables=(*_TABLES, *_OWNERSHIP, *_FORECASTS, *_RECONCILIATION),
    migrations={
        1: (
            "ALTER TABLE orders ADD COLUMN decided_at TEXT NOT NULL DEFAULT ''",
            "ALTER TABLE orders ADD COLUMN decided_price REAL",
            *_OWNERSHIP,
        ),
        2: (*_FORECASTS, *_FORECASTS_OF_DECISIONS, *_RECONCILIATION),
    },
    error=BrokerError,
    unavailable=LedgerUnavailableError,
    consequence_if_removed="all records of accounts and positions are lost with it, so look at the broker first",
)

_STORED_NAMES = {"entry_hour": "entered", "exit_hour": "exited", "blocked_side": "stopped_side"}
"""What a ledger calls fields that have other names in the code, so that every ledger stays readable."""
_FIELD_NAMES = {stored: name for name, stored in _STORED_NAMES.items()}
TRADE_COLUMNS = tuple(_STORED_NAMES.get(name, name) for name in Trade._fields)


def stored(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a sub-account or a trade by their names in the ledger."""
    return {_STORED_NAMES.get(name, name): value for name, value in values.items()}


def state_to_json(state: SubAccountState) -> str:
    """Write a sub-account's state; floats read back to the last bit."""
    pending = [asdict(decision) for decision in state.pending]
    values = {
        "account": stored(state.account._asdict()),
        "pending": pending,
        "walked_to": state.processed_through,
    }
    return json.dumps(values, allow_nan=False)


def state_from_json(text: str) -> SubAccountState:
    """Read a sub-account's state.

    Raises
    ------
    ValueError, TypeError, KeyError
        If it is not one.
    """
    values = json.loads(text)
    pending: list[Decision] = [
        Exit(**decision) if "reason" in decision else Enter(**decision) for decision in values["pending"]
    ]
    account: dict[str, Any] = dict(values["account"])
    return SubAccountState(
        account=SubAccount(**{_FIELD_NAMES.get(name, name): value for name, value in account.items()}),
        pending=tuple(pending),
        processed_through=values["walked_to"],
    )
