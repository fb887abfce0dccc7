"""Watches how an account's forecasts end, and says once when stated confidence stops coming true."""

from crypto_refactor.trading.ledger import Ledger
from crypto_refactor.trading.record.alarms import RecordAlarm, new_alarms
from crypto_refactor.trading.record.record import account_record


class RecordWatch:
    """The alarms of one account since `begin`.

    Raises
    ------
    BrokerError
        By both methods, if the ledger cannot be read.
    """

    def __init__(self, ledger: Ledger, account: str) -> None:
        self._ledger, self._account = ledger, account
        self._told_through: int | None = None

    def begin(self) -> None:
        """Take the alarms that an earlier run has told as told."""
        record = account_record(self._ledger, self._account)
        self._told_through = None if record is None else record.alarmed_at

    def new(self) -> tuple[RecordAlarm, ...]:
        """Return the alarms since the last call."""
        alarms = new_alarms(account_record(self._ledger, self._account), self._told_through)
        if alarms:
            self._told_through = alarms[-1].at
        return alarms
