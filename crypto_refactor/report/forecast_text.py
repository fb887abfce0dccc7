"""Sentences about forecasts: what they show, which baselines they beat, how confirmations agree with them, how they ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from crypto_refactor.market.hours import to_iso
from crypto_refactor.model.artifact import DROPPED, KEPT, ResidualDecision
from crypto_refactor.model.skip import RIDGE
from crypto_refactor.report.formatting import UNDEFINED, number, percent
from crypto_refactor.signals.condition_catalogue import FORECAST

if TYPE_CHECKING:
    from crypto_refactor.backtest.result import BacktestResult
    from crypto_refactor.backtest.significance.forecast_skill import Skill
    from crypto_refactor.backtest.significance.verdict import Verdict
    from crypto_refactor.trading.record.record import SeriesRecord
    from crypto_refactor.trading.record.scores import Score

BASELINE_NAMES = {
    "minus_last_return": "minus the last return",
    "minus_ema_20_distance": "minus the distance to EMA 20",
    RIDGE: "the linear skip",
}


def part_verdicts(verdict: Verdict) -> list[str]:
    """State what forecasts and trades show, each by itself."""
    parts = [("Forecasts", verdict.forecasts), ("Trades", verdict.trades)]
    return [f"{name}: {part.text}." for name, part in parts if part is not None]


def residual_text(decision: ResidualDecision) -> str:
    """State whether the network adds to the skip, and by how many errors it lowered the loss."""
    if decision.decision not in {KEPT, DROPPED}:
        return "not trained"
    return decision.decision if decision.t is None else f"{decision.decision}, t {number(decision.t, 1)}"


def unbeaten_text(names: Sequence[str]) -> str:
    """State which baselines do better."""
    if not names:
        return "better than every baseline"
    return "no better than " + ", ".join(BASELINE_NAMES.get(name, name) for name in names)


def skill_remarks(skill: Skill) -> list[str]:
    """State how often the direction was right, which baselines did better, and on which side the forecasts lie."""
    model, directed = skill.model, skill.long + skill.short
    remarks = []
    if model.hit_rate is not None:
        share, error = model.hit_rate.value, model.hit_rate.se
        right = percent(share, 1) if error is None else f"{number(100 * share, 1)} ± {percent(error, 1)}"
        remarks.append(
            f"The forecast is the median of the next hour, not its mean: its direction was right in "
            f"{right} of {directed:,} hours; by rank correlation it is "
            f"{unbeaten_text(skill.unbeaten)}."
        )
    if directed:
        beyond = UNDEFINED if skill.beyond_threshold is None else percent(skill.beyond_threshold, 1)
        remarks.append(
            f"{percent(skill.long / directed, 0)} of the forecasts are long, {percent(skill.short / directed, 0)} short; "
            f"{beyond} exceed their threshold, which was set so that a fifth of those in training did."
        )
    return remarks


def agreement_remark(result: BacktestResult) -> str | None:
    """State how far the confirmations agree with the forecasts beyond their threshold; None without any."""
    figures = result.diagnostics.conditions
    shares = [
        condition.agrees
        for name, condition in figures.items()
        if name != FORECAST and condition.agrees is not None
    ]
    if not shares:
        return None
    mean = sum(shares)
    required = result.signal_rules.min_confirmations
    return (
        f"The confirmations follow the trend and the forecast opposes it: of the {len(shares)}, {number(mean, 1)} hold on average "
        f"where a forecast is beyond its threshold, and {required} are needed. "
        f"`compare` with `--vary min-confirmations=0,2,4,6` and the options of this run shows the alternatives."
    )


def record_line(record: SeriesRecord) -> str:
    """Return a record in one line: whether it shows skill, how the last forecasts ended, and an alarm."""
    line = _recent_forecasts(record.recent)
    if record.score.stated:
        skilled = record.score.evidence_at is not None
        line = f"{'better than a coin toss so far' if skilled else 'not yet better than a coin toss'}: {line}"
    if record.alarmed_at is not None:
        line += f"; ALARM at {to_iso(record.alarmed_at)}: stated confidence does not come true"
    return line


def _recent_forecasts(recent: Score) -> str:
    if not recent.n:
        return "no forecast has been scored yet"
    subject = "the last forecast" if recent.n == 1 else f"the last {recent.n} forecasts"
    if not recent.stated or recent.stated_confidence is None:
        return f"{subject} gave no direction (confidence 0.50)"
    said = f"the model said {percent(recent.stated_confidence, 0)}"
    if recent.n == 1:
        return f"{subject} {'came' if recent.right else 'did not come'} true ({said})"
    gave = "" if recent.stated == recent.n else f"{recent.stated} gave a direction, "
    return f"of {subject} {gave}{recent.right} came true ({percent(recent.right / recent.stated, 0)}; {said})"


def sentence(line: str) -> str:
    """Return a line as a sentence of its own; names and times keep their letters."""
    return f"{line[:1].upper()}{line[1:]}."


def outcome_lines(record: SeriesRecord) -> list[str]:
    """Return how many forecasts have an outcome, and why the others have none."""
    lines = []
    if record.waiting:
        lines.append(f"{record.waiting:,} not scored yet: no later bar is known")
    if record.unscored:
        whose = "its" if record.unscored == 1 else "their"
        lines.append(
            f"{record.unscored:,} never scored: no bar is known for {whose} hour, or its close jumps"
        )
    late = record.after_the_fact
    if late:
        made = "1 was made after its" if late == 1 else f"{late:,} were made after their"
        every = "All " if late == len(record.forecasts) > 1 else ""
        lines.append(f"{every}{made} hour had closed, as in a replay: what would have been said")
    return lines
