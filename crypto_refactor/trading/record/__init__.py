"""The record of forecasts: every one that was made, scored when its bar has closed."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crypto_refactor.trading.record.alarms import RecordAlarm, new_alarms
    from crypto_refactor.trading.record.record import SeriesRecord, account_record, series_record
    from crypto_refactor.trading.record.scores import Score

__all__ = ["RecordAlarm", "Score", "SeriesRecord", "account_record", "new_alarms", "series_record"]


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: the help of commands needs none of them."""
    for module in ("record", "alarms", "scores") if name in __all__ else ():
        value = getattr(import_module(f"{__name__}.{module}"), name, None)
        if value is not None:
            return value
    raise AttributeError(name)
