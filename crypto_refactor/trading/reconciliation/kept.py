"""The last reconciliation of an account, kept beside its ledger for the page: both ask for it at different hours."""

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crypto_refactor.errors import BrokerError
from crypto_refactor.storage.atomic_file import write_atomic
from crypto_refactor.storage.private import create_folder
from crypto_refactor.trading.reconciliation.result import AccountReconciliation

_SCHEMA = 1
_FOLDER = "reconciled"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptReconciliation:
    """What a page shows of a reconciliation.

    Attributes
    ----------
    headline : str
        Both returns, and the money of each cause.
    backtest : dict of int to float
        Equity of the backtest by close, quote currency.
    """

    headline: str
    backtest: dict[int, float]

    @property
    def through(self) -> int | None:
        """The last close that was reconciled."""
        return max(self.backtest, default=None)


def keep_reconciliation(state: Path, result: AccountReconciliation, headline: str) -> None:
    """Keep a reconciliation of a whole account, replacing the one before.

    Raises
    ------
    BrokerError
        If it cannot be written.
    """
    equity = result.comparison()
    document = {
        "schema": _SCHEMA,
        "account": result.account,
        "headline": headline,
        "backtest": list(zip(equity.hours, equity.backtest, strict=True)),
    }
    path = _path(state, result.account)
    try:
        create_folder(path.parent)
        write_atomic(path, json.dumps(document, allow_nan=False).encode())
    except OSError as error:
        raise BrokerError(
            f"The reconciliation cannot be kept in {path.parent}: {error.strerror}.",
            expected="a writable state folder with free space.",
            remedy="free space, or choose another folder with --state-dir.",
        ) from error


def kept_reconciliation(state: Path, account: str) -> KeptReconciliation | None:
    """Return the reconciliation that was kept last; None where none was, or it cannot be read."""
    try:
        document = json.loads(_path(state, account).read_bytes())
        return _checked(document, account)
    except (OSError, ValueError, TypeError, KeyError):
        return None  # the next `reconcile` writes it anew


def _checked(document: dict[str, Any], account: str) -> KeptReconciliation:
    if document["schema"] != _SCHEMA or document["account"] != account:
        raise ValueError("of another account, or another version")
    backtest = {int(hour): float(equity) for hour, equity in document["backtest"]}
    if not all(map(math.isfinite, backtest.values())):
        raise ValueError("not an equity")
    return KeptReconciliation(headline=str(document["headline"]), backtest=backtest)


def _path(state: Path, account: str) -> Path:
    name = hashlib.sha256(account.encode()).hexdigest()[:16]  # names of accounts hold slashes and whole paths
    return state / _FOLDER / f"{name}.json"
