"""All tests of one run against chance."""

from dataclasses import asdict, dataclass, field

from crypto_refactor.backtest.engine import Simulation
from crypto_refactor.backtest.metrics import hourly_returns, sharpe_ratio
from crypto_refactor.backtest.significance.bootstrap import (
    LEVEL,
    MEAN_BLOCK_HOURS,
    RESAMPLES,
    Intervals,
    bootstrap_intervals,
)
from crypto_refactor.backtest.significance.fee_sensitivity import (
    BreakEven,
    CostPoint,
    break_even_fee,
    cost_sweep,
    return_by_fee,
)
from crypto_refactor.backtest.significance.forecast_skill import ScoredForecasts, Scores, Skill
from crypto_refactor.backtest.significance.random_entry import RandomEntry, random_entry
from crypto_refactor.backtest.significance.sharpe import probabilistic_sharpe
from crypto_refactor.execution.decisions import SignalPlan
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.market.bars import Bars


@dataclass(frozen=True, slots=True, kw_only=True)
class Significance:
    """The tests of one run against chance.

    Attributes
    ----------
    intervals : Intervals
        95 % bootstrap intervals of total return and Sharpe ratio.
    probabilistic_sharpe : float or None
        Probability that the true Sharpe ratio is above 0.
    random_entry : RandomEntry or None
        The same trades entered at other hours like theirs; None without a closed trade.
    break_even : BreakEven
        The fee at which the total return is 0.
    cost_sweep : tuple of CostPoint
        Total return of the same trades at other fees.
    skill : Skill or None
        Skill of the forecasts; None for external targets.
    forecasts : ScoredForecasts or None
        The forecasts that `skill` was measured on.
    """

    intervals: Intervals
    probabilistic_sharpe: float | None
    random_entry: RandomEntry | None
    break_even: BreakEven
    cost_sweep: tuple[CostPoint, ...]
    skill: Skill | None
    forecasts: ScoredForecasts | None = field(compare=False)  # arrays; `skill` says the same

    def to_dict(self) -> dict[str, object]:
        """Return the documented JSON; what is undefined is null."""
        entry = self.random_entry
        bootstrap = {"level": LEVEL, "resamples": RESAMPLES, "mean_block_hours": MEAN_BLOCK_HOURS}
        return {
            "total_return_interval": _listed(self.intervals.total_return),
            "sharpe_interval": _listed(self.intervals.sharpe),
            "bootstrap": bootstrap,
            "probabilistic_sharpe": self.probabilistic_sharpe,
            "random_entry": None if entry is None else {"p": entry.p} | asdict(entry),
            "break_even_fee": self.break_even.fee,
            "break_even_note": self.break_even.reason,
            "cost_sweep": [asdict(point) for point in self.cost_sweep],
            "skill": None if self.skill is None else _skill_json(self.skill),
        }


def _listed(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else list(interval)


def _skill_json(skill: Skill) -> dict[str, object]:
    names = {"confidence": "stated", "raw_confidence": "unshrunk"}
    document = {names.get(name, name): value for name, value in asdict(skill).items()}
    for name in names.values():
        document[name]["bins"] = list(document[name]["bins"])
    return document


def significance_of(
    run: Simulation, window: Bars, plan: SignalPlan, rules: ExecutionRules, *, scores: Scores | None = None
) -> Significance:
    """Test `run`, the result of ``simulate(window, plan, rules)``; `scores` are those of its forecasts, if any."""
    returns = hourly_returns(run.equity)
    total_return = return_by_fee(run, window, plan, rules)
    return Significance(
        intervals=bootstrap_intervals(returns),
        probabilistic_sharpe=probabilistic_sharpe(*sharpe_ratio(returns)),
        random_entry=random_entry(run.trades, window, rules, initial_balance=float(run.equity[0])),
        break_even=break_even_fee(total_return, len(run.fills)),
        cost_sweep=cost_sweep(total_return, rules.fee),
        skill=None if scores is None else scores.skill,
        forecasts=None if scores is None else scores.forecasts,
    )
