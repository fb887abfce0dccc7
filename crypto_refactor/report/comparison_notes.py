"""What is to be said of a comparison below its ranking, wherever that is shown."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from crypto_refactor.backtest.comparison.runner import Comparison
from crypto_refactor.backtest.significance.trade_verdict import MIN_TRADES
from crypto_refactor.report.commentary import models_text, rules_text, schedule_text
from crypto_refactor.report.formatting import money
from crypto_refactor.report.metric_rows import hit_rate_text
from crypto_refactor.report.verdict_lines import counted, few_trades_text, luck_text, overfitting_text


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence; `strong` is what decides how far the ranking can be trusted."""

    text: str
    strong: bool = False


def shared_rules(comparison: Comparison) -> list[str]:
    """State the rules and models of the first setting, which the others vary; the comparison has at least one trial."""
    request = comparison.request
    first = request.settings[0]
    trial = next((trial for trial in comparison.trials if trial.parameter_set is first), comparison.trials[0])
    rules = rules_text(trial.scenarios.requested.rules)
    if len(request.settings) > 1:
        names = ", ".join(name for name, _ in first.varied)
        rules = f"Varied: {names}. {rules.replace('Rules: ', 'Rules of the setting named first: ', 1)}"
    schedule = schedule_text(first.settings) if request.model is None else f"pinned, {request.model}"
    models = models_text(first.settings, schedule, first.signal_rules, first.settings.plugins)
    return [rules, f"{models}; {comparison.trained or 'none'} trained for this run."]


def comparison_notes(comparison: Comparison) -> list[Note]:
    """Return the notes on a comparison with at least one trial."""
    trials = comparison.trials
    sums = [portfolio for portfolio in comparison.portfolios if len(portfolio.tickers) > 1]
    shares = dict.fromkeys(money(portfolio.share) for portfolio in sums)
    notes = [
        *_luck(comparison),
        Note(overfitting_text(comparison.overfitting)),
        *(
            Note(
                f"Sums: portfolios of equal sub-accounts of {each} each, with no transfers between them, "
                "as run_multi_ticker.py trades."
            )
            for each in [" or ".join(shares)]
            if each
        ),
        *_forecasts(comparison),
        _audits(comparison),
    ]
    few = sum(trial.scenarios.requested.metrics.trades < MIN_TRADES for trial in trials)
    if few:
        text = few_trades_text(comparison)
        notes.append(Note(f"{text[0].upper()}{text[1:]}: too few to tell skill from luck."))
    jumps = {(trial.ticker, jump): None for trial in trials for jump in trial.prepared.quality.jumps}
    return notes + [Note(f"Jump of {ticker} in the bar that opened {jump.text}.") for ticker, jump in jumps]


def _luck(comparison: Comparison) -> list[Note]:
    bias = comparison.selection_bias
    if bias is None or (bias.trials == 1 and not bias.earlier):
        return [Note(luck_text(comparison))]
    uncounted = [Note("Trials of earlier commands are not counted.")] if bias.earlier is None else []
    return [Note(luck_text(comparison), strong=True), *uncounted]


def _forecasts(comparison: Comparison) -> list[Note]:
    """State what the forecasts of all tickers together show, once for sets that say the same."""
    texts: dict[str, list[str]] = {}
    for pooled in comparison.forecasts:
        right = "none with a direction"
        if pooled.hit_rate is not None:
            right = f"direction right in {hit_rate_text(pooled.hit_rate)}"
        text = (
            f"{pooled.hours:,} forecasts of {counted(len(pooled.tickers), 'ticker')}, {right}: "
            f"{pooled.verdict.text}."
        )
        texts.setdefault(text, []).append(pooled.parameter_set.label)
    if len(texts) == 1:
        return [Note(f"Forecasts: {text}") for text in texts]
    every = [label for labels in texts.values() for label in labels]
    return [
        Note(f"Forecasts, {distinction(labels, set(every).difference(labels))}: {text}")
        for text, labels in texts.items()
    ]


def distinction(labels: Sequence[str], others: Iterable[str]) -> str:
    """Return what the labels share and no other has all of; where there is no such thing, the labels."""
    shared = [part for part in _parts(labels[0]) if all(part in _parts(label) for label in labels)]
    if not shared or any(set(shared) <= set(_parts(other)) for other in others):
        return "; ".join(labels)
    return ", ".join(shared)


def _parts(label: str) -> list[str]:
    return label.split(", ")


def _audits(comparison: Comparison) -> Note:
    trials, passed = comparison.trials, comparison.audits_passed
    audits = [trial.audit for trial in trials if trial.audit is not None]
    recomputed = sum(audit.bars_checked for audit in audits)
    if passed == len(trials):
        subject = "the only trial" if passed == 1 else f"all {passed} trials"
        return Note(
            f"Audits: {subject} passed; {recomputed:,} decisions recomputed from the bars known at the time."
        )
    failed = ", ".join(
        f"{trial.ticker} ({trial.parameter_set.label}): {check.detail}"
        for trial in trials
        if trial.audit is not None
        for check in trial.audit.checks
        if not check.passed
    )
    return Note(
        f"AUDIT FAILED for {len(trials) - passed} of {counted(len(trials), 'trial')}: {failed}", strong=True
    )
