"""The options of a backtest by keyword, beside the option objects that hold them."""

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self, TypedDict, TypeVar

from crypto_refactor.errors import UsageError
from crypto_refactor.execution.rules import ExecutionOptions
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.plugins import AnyPlugin
from crypto_refactor.signals.conditions import SignalRules


class TargetChoices(TypedDict, total=False):
    """The options by which targets are traded, by keyword: those of `ExecutionOptions` that need no forecast."""

    venue: Literal["none", "alpaca"]
    fee: float | None
    slippage_bps: float
    position_size: float
    long_only: bool
    borrow: float
    stop_loss: float | None
    take_profit: float | None
    max_drawdown: float | None
    max_notional: float | None


class Choices(TargetChoices, total=False):
    """Every option by its keyword; what is left out keeps its default.

    See `ModelSettings` (which models decide), `SignalRules` (what a forecast needs to become a signal) and
    `ExecutionOptions` (how it is traded) for their meaning and units.
    """

    lookback: int
    network: str
    residual: Literal["auto", "always", "never"]
    seed: int
    train_hours: int
    refit_every: int
    plugins: AnyPlugin | Sequence[AnyPlugin]
    min_confirmations: int
    threshold_scale: float | None
    exit: str
    strict: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionObjects:
    """The option objects of a backtest."""

    settings: ModelSettings
    signal_rules: SignalRules
    options: ExecutionOptions

    @classmethod
    def of(
        cls,
        settings: ModelSettings | None,
        signal_rules: SignalRules | None,
        options: ExecutionOptions | None,
        choices: Mapping[str, Any],
        *,
        allowed: Collection[str] | None = None,
    ) -> Self:
        """Return the given objects, or their defaults, with `choices` in place of what they hold.

        Every field is a keyword, or those in `allowed`.

        Raises
        ------
        UsageError
            If there is no such option, or its value is out of range.
        """
        held = settings or ModelSettings(), signal_rules or SignalRules(), options or ExecutionOptions()
        for given, kind in zip(held, (ModelSettings, SignalRules, ExecutionOptions), strict=True):
            if not isinstance(given, kind):
                raise UsageError(
                    f"Options came as {type(given).__name__}.",
                    expected=f"a {kind.__name__}, or single options by keyword.",
                    remedy="correct the call.",
                )
        known = [field.name for owner in held for field in fields(owner)]
        if allowed is not None:
            known = [name for name in known if name in allowed]
        for name in choices:
            if name not in known:
                raise _unknown(name, known)
        chosen = cls(
            settings=_with(held[0], choices),
            signal_rules=_with(held[1], choices),
            options=_with(held[2], choices),
        )
        chosen.signal_rules.require_possible(chosen.settings.plugins)
        chosen.options.require_known_exit(chosen.settings.plugins)
        return chosen


Owner = TypeVar("Owner", ModelSettings, SignalRules, ExecutionOptions)


def _with(owner: Owner, choices: Mapping[str, Any]) -> Owner:
    names = {field.name for field in fields(owner)}
    return replace(owner, **{name: value for name, value in choices.items() if name in names})


def _unknown(name: str, known: list[str]) -> UsageError:
    near = difflib.get_close_matches(name, known, n=1)
    return UsageError(
        f"There is no option {name!r}.",
        expected="one of " + ", ".join(known) + ".",
        remedy=f"write {near[0]}." if near else "correct the keyword.",
    )
