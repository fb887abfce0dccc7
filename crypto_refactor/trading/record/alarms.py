"""The alarms of a record, to be told once."""

from dataclasses import dataclass

from crypto_refactor.market.hours import to_iso
from crypto_refactor.trading.record.record import SeriesRecord

KIND = "alarm"
"""What a notice of an alarm is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordAlarm:
    """Stated confidence of `series` was found not to come true at the close `at`, in words."""

    series: str
    at: int
    text: str


def new_alarms(record: SeriesRecord | None, told_through: int | None) -> tuple[RecordAlarm, ...]:
    """Return the alarms of a record that have not been told.

    Parameters
    ----------
    record : SeriesRecord or None
        After the latest close; None where there is no forecast yet.
    told_through : int or None
        The close of the last alarm that was told, `SeriesRecord.alarmed_at` of then; None if none was.
    """
    if record is None:
        return ()
    return tuple(
        RecordAlarm(series=record.series, at=at, text=_text(record, at))
        for at in record.alarms
        if told_through is None or at > told_through
    )


def _text(record: SeriesRecord, at: int) -> str:
    recent = record.recent
    last = ""
    if recent.stated and recent.stated_confidence is not None:
        last = (
            f": of its last {recent.stated} forecasts with a direction {recent.right} were right "
            f"({recent.right / recent.stated:.2f}), stated {recent.stated_confidence:.2f}"
        )
    return f"its stated confidence no longer comes true, found at {to_iso(at)}{last}"
