"""How good the forecasts are, walk-forward over all bars at hand, and print the tables of docs/results.md.

    python benchmarks/forecast_quality.py --data-dir DIR [--network linear] [--train-hours 2160] [--hours N]

Every ticker is decided over its last N hours, by default as many as its history allows.  Rank correlations are averaged
over tickers; all errors are clustered by day over all tickers together.  Models are kept in the model folder of the
environment (CRYPTO_MODEL_DIR).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from time import perf_counter

import numpy as np
from harness import tickers_of

from crypto_refactor.backtest.backtester import Backtester
from crypto_refactor.backtest.significance.forecast_skill import forecast_skill
from crypto_refactor.backtest.significance.forecast_verdict import forecast_verdict, strongest_gain
from crypto_refactor.config import settings as environment
from crypto_refactor.correlation import hourly_mean, pooled_spearman
from crypto_refactor.execution.rules import ExecutionOptions
from crypto_refactor.market.sources.csv_files import FilesSource
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.schedule import hours_needed
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.skip import BASELINES

STATED = (0.5, 0.505, 0.51, 0.52, 0.53, 0.55, 0.6, 1.0)
COST = 0.002


def decided(source, ticker, hours, settings):
    """Return the backtest of a ticker, and the skill of its forecasts."""
    if hours is None:
        bars = source.bars(ticker, 0, 10**7)
        hours = int(bars.closed[-1] - bars.opened[0]) - hours_needed(0, settings) - 1
    tester = Backtester(
        ticker,
        source=source,
        settings=settings,
        options=ExecutionOptions(),
        model_dir=environment().model_dir,
    )
    result = tester.run(hours, assess=False)
    return result, forecast_skill(result.walk.periods, result.window, settings)


def shown(value, error, digits=3):
    return (
        "–" if value is None else f"{value:+.{digits}f}" + ("" if error is None else f" ± {error:.{digits}f}")
    )


def percent(share):
    if share is None:
        return "–"
    return f"{share.value * 100:.1f}" + ("" if share.se is None else f" ± {share.se * 100:.1f}") + " %"


def print_tickers(found):
    names = list(found[0][1].skill.baselines)
    print("| ticker | hours | models | with confidence | kept networks | rank correlation | right | RMSE / zero | mean error / zero | " + " | ".join(names) + " |")  # fmt: skip
    print("|---" * (9 + len(names)) + "|")
    for result, scores in found:
        skill, model = scores.skill, scores.skill.model
        cards = [part.model.card for part in result.walk.periods]
        baselines = " | ".join(shown(*astuple(skill.baselines[name].spearman)) for name in names)
        print(
            f"| {result.ticker} | {skill.n:,} | {len(cards)} | {sum(card.evidence.shrink > 0 for card in cards)} "
            f"| {sum(card.residual_decision.decision == 'kept' for card in cards)} "
            f"| {shown(*astuple(model.spearman))} | {percent(model.hit_rate)} | {model.rmse_ratio:.4f} | {model.mae_ratio:.4f} "
            f"| {baselines} |"
        )


def astuple(correlation):
    return correlation.value, correlation.se


def print_pooled(found):
    scored = [scores.forecasts for _, scores in found]
    cards = [part.model.card for result, _ in found for part in result.walk.periods]
    ic = pooled_spearman([(part.forecast, part.outcome, part.hours) for part in scored])
    side = np.concatenate([np.sign(part.forecast) * np.sign(part.outcome) for part in scored])
    hours = np.concatenate([part.hours for part in scored])
    hits = hourly_mean((side[side != 0] > 0).astype(float), hours[side != 0])
    gain = strongest_gain(scored)
    print(
        f"\nAll {len(found)} tickers, {len(hours):,} hours: rank correlation {shown(ic.value, ic.se, 4)}, right {percent(hits)}."
    )
    print(f"Models with confidence: {sum(card.evidence.shrink > 0 for card in cards)} of {len(cards)}; without any forecast: "
          f"{sum(card.stop_loss_ratio == 1 for card in cards)}; networks kept: "
          f"{sum(card.residual_decision.decision == 'kept' for card in cards)}.")  # fmt: skip
    print(f"The strongest fifth gain {gain.value * 1e4:+.2f} ± {gain.se * 1e4:.2f} bp an hour before costs.")
    verdict = forecast_verdict(scored, COST)
    print(f"Verdict: {verdict.code}: {verdict.text}.")
    for name in BASELINES:
        values = []
        for result, scores in found:
            inputs = np.concatenate(
                [
                    part.period.frame.inputs[
                        np.searchsorted(part.period.frame.bars.closed, part.signals.decided_at)
                    ]
                    for part in result.walk.periods
                ]
            )
            decided_at = result.walk.signals.decided_at
            kept = np.isin(decided_at, scores.forecasts.hours)
            values.append((BASELINES[name](inputs[kept]), scores.forecasts.outcome, scores.forecasts.hours))
        other = pooled_spearman(values)
        print(f"Baseline {name}: rank correlation {shown(other.value, other.se, 4)}.")


def print_stated(found):
    confidence, side, hours = [], [], []
    for result, scores in found:
        signals = result.walk.signals
        kept = np.isin(signals.decided_at, scores.forecasts.hours)
        confidence.append(signals.confidence[kept])
        side.append(np.sign(scores.forecasts.forecast) * np.sign(scores.forecasts.outcome))
        hours.append(scores.forecasts.hours)
    confidence, side, hours = map(np.concatenate, (confidence, side, hours))
    print("\n| confidence | hours | stated | right |\n|---|---|---|---|")
    for low, high in zip((None, *STATED[:-1]), STATED, strict=True):
        within = (confidence == 0.5) if low is None else (confidence > low) & (confidence <= high)
        within &= side != 0
        if within.any():
            right = hourly_mean((side[within] > 0).astype(float), hours[within])
            name = "exactly 0.50" if low is None else f"{low:g} – {high:g}"
            print(f"| {name} | {int(within.sum()):,} | {confidence[within].mean():.3f} | {percent(right)} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", required=True, type=Path)
    parser.add_argument("--hours", type=int)
    parser.add_argument("--train-hours", type=int, default=2160)
    parser.add_argument("--network", default="linear")
    parser.add_argument("--residual", default="auto")
    parser.add_argument("--tickers", nargs="*")
    arguments = parser.parse_args()
    settings = ModelSettings(
        train_hours=arguments.train_hours, network=arguments.network, residual=arguments.residual
    )
    tickers = (
        [Ticker.parse(text) for text in arguments.tickers]
        if arguments.tickers
        else tickers_of(arguments.data_dir)
    )
    source, start = FilesSource(arguments.data_dir), perf_counter()
    found = [decided(source, ticker, arguments.hours, settings) for ticker in tickers]
    print_tickers(found)
    print_pooled(found)
    print_stated(found)
    print(
        f"\n{perf_counter() - start:.1f} s, {sum(result.walk.trained for result, _ in found)} models trained."
    )


if __name__ == "__main__":
    main()
