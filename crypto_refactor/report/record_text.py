"""Sentences about the record of forecasts."""

from crypto_refactor.market.hours import to_iso
from crypto_refactor.trading.record.record import SeriesRecord
from crypto_refactor.trading.record.scores import Score


def record_line(record: SeriesRecord) -> str:
    """Return a record in one line: how the last forecasts ended, and an alarm."""
    line = _recent(record.recent)
    if record.alarmed_at is not None:
        line += f"; ALARM at {to_iso(record.alarmed_at)}: stated confidence does not come true"
    return line


def _recent(recent: Score) -> str:
    if not recent.n:
        return "no forecast has been scored yet"
    subject = "its last forecast" if recent.n == 1 else f"its last {recent.n} forecasts"
    verb = "states" if recent.n == 1 else "state"
    if not recent.stated or recent.stated_confidence is None:
        return f"{subject} {verb} no direction (confidence 0.50)"
    stated = f"stated {recent.stated_confidence:.2f}"
    if recent.stated == recent.n:
        return f"{subject}: {recent.right} right, {stated}"
    return f"{subject}: {recent.right} of {recent.stated} with a direction right, {stated}"


def outcome_lines(record: SeriesRecord) -> list[str]:
    """Return how many forecasts have an outcome, and why the others have none."""
    lines = []
    if record.waiting:
        lines.append(f"{record.waiting:,} not scored yet: no later bar is known")
    if record.unscored:
        lines.append(f"{record.unscored:,} never scored: no bar is known for their hour, or its close jumps")
    if record.after_the_fact:
        lines.append(
            f"{record.after_the_fact:,} made after their hour had closed, as in a replay: what would have been said"
        )
    return lines
