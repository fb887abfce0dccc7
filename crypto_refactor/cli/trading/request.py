"""What a trading command line asks for, checked before anything is read or sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crypto_refactor.cli import options
from crypto_refactor.cli.configuration.applied import GIVEN
from crypto_refactor.cli.strategy_options import model_settings, rule_options, signal_rules, training_cluster
from crypto_refactor.cli.trading.account_selection import require_live_switches
from crypto_refactor.errors import UsageError
from crypto_refactor.storage.output_file import check_writable

if TYPE_CHECKING:
    from crypto_refactor.execution.rules import ExecutionOptions
    from crypto_refactor.market.ticker import Ticker
    from crypto_refactor.trading.limits import AccountLimits
    from crypto_refactor.trading.session import TradingSession

DEFAULT_BALANCE = 100_000.0
DEFAULT_REPLAY_HOURS = 72


class AccountKind(StrEnum):
    """Where a run acts."""

    NOWHERE = "nowhere"
    DEMO = "demo"
    ALPACA = "alpaca"


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingRequest:
    """A trading run as asked for."""

    session: TradingSession
    where: AccountKind
    once: bool  # decide once, and not until stopped
    live: bool
    end: int | None  # the time of a run over past bars; None for now
    replay_hours: int
    replay_delay: float
    report: Path | None = None  # the page of the account

    @property
    def realtime(self) -> bool:
        """Whether orders fill in real time: at Alpaca, or in the demo account on Alpaca's bars."""
        return self.where is not AccountKind.NOWHERE and self.session.source.name == "alpaca"

    @property
    def lasting(self) -> bool:
        """Whether it trades as time passes, until it is stopped."""
        return self.realtime and not self.once

    @property
    def replays(self) -> bool:
        """Whether a past window is replayed."""
        return not self.once and not self.realtime


def read_request(
    values: Mapping[str, Any],
    tickers: tuple[Ticker, ...],
    where: AccountKind,
    *,
    explicitly_requested: bool,
    once: bool,
    workers: int,
) -> TradingRequest:
    """Check a command line and return what it asks for; raise UsageError for options that conflict."""
    rules = _execution_options(values, where)
    replace(rules, venue="none").resolve(tickers[0])  # refuses values out of range before anything is read
    request = TradingRequest(
        session=_session(
            values, rules, tickers=tickers, explicitly_requested=explicitly_requested, workers=workers
        ),
        where=where,
        once=once,
        live=bool(values["live"]),
        end=values["end"],
        replay_hours=DEFAULT_REPLAY_HOURS if values["replay_hours"] is None else values["replay_hours"],
        replay_delay=values["replay_delay"] or 0.0,
        report=values["report"],
    )
    _check_report(request)
    _check_account(request, values)
    _check_limits(request, values)
    _check_time(request, values)
    return request


def _check_report(request: TradingRequest) -> None:
    if request.report is None:
        return
    if request.where is AccountKind.NOWHERE:
        raise UsageError(
            "--report was given where no account is traded.",
            expected="a mode that trades, whose account has a page.",
            remedy="add --demo, or leave out --report.",
        )
    check_writable(request.report)


def _given(option: str) -> bool:
    """Whether the command line or the configuration file says it."""
    return click.get_current_context().get_parameter_source(option) in GIVEN


def _execution_options(values: Mapping[str, Any], where: AccountKind) -> ExecutionOptions:
    """Return the execution options, with what an account at Alpaca and real money imply."""
    rules = rule_options(values)
    if where is AccountKind.ALPACA:
        rules = replace(rules, venue="alpaca")
    return replace(rules, strict=True) if values["live"] and not _given("strict") else rules


def _session(values: Mapping[str, Any], rules: ExecutionOptions, **requested: Any) -> TradingSession:
    import time
    from datetime import UTC, datetime

    from crypto_refactor.cli.progress import TrainingBars
    from crypto_refactor.config import settings
    from crypto_refactor.model.named_models import model_name
    from crypto_refactor.trading.session import TradingSession

    balance = DEFAULT_BALANCE if values["initial_balance"] is None else values["initial_balance"]
    if not 0 < balance < float("inf"):
        raise UsageError.invalid("--initial-balance", balance, "an amount above 0", example="10000")
    return TradingSession(
        source=options.open_selected_source(values),
        settings=model_settings(values),
        signal_rules=signal_rules(values),
        options=rules,
        model=None if values["model"] is None else model_name(values["model"]),
        model_dir=settings().model_dir,
        state_dir=values["state_dir"] or settings().state_dir,
        initial_balance=balance,
        allow_gaps=values["allow_gaps"],
        allow_jumps=values["allow_jumps"],
        observer=TrainingBars(),
        clock=lambda: datetime.now(UTC),
        sleep=time.sleep,
        cluster=training_cluster(values),
        max_deviation=_max_deviation(values),
        limits=_limits(values),
        **requested,
    )


def _max_deviation(values: Mapping[str, Any]) -> float:
    from crypto_refactor.trading.orders.checks import DEFAULT_MAX_DEVIATION

    value = DEFAULT_MAX_DEVIATION if values["max_deviation"] is None else values["max_deviation"]
    if not 0 < value < 1:
        raise UsageError.invalid("--max-deviation", value, "a fraction between 0 and 1", example="0.02")
    return float(value)


def _limits(values: Mapping[str, Any]) -> AccountLimits:
    from crypto_refactor.trading.limits import AccountLimits

    return AccountLimits(
        max_daily_loss=values["max_daily_loss"],
        max_loss=values["max_loss"],
        max_positions=values["max_positions"],
        max_orders=values["max_orders_per_day"],
    )


def _check_account(request: TradingRequest, values: Mapping[str, Any]) -> None:
    at_alpaca, source = request.where is AccountKind.ALPACA, request.session.source.name
    if at_alpaca and _given("venue") and values["venue"] == "none":
        raise UsageError(
            "--venue none was given for an account at Alpaca.",
            expected="Alpaca's own rules there.",
            remedy="leave out --venue, or add --demo.",
        )
    if request.live and not at_alpaca:
        raise UsageError(
            "--live was given for a run that does not trade at Alpaca.",
            expected="--live without --demo, and a mode that trades.",
            remedy="leave out --live, or --demo.",
        )
    if at_alpaca and source != "alpaca":
        raise UsageError(
            f"Trading at Alpaca requires --source alpaca (got: {source}).",
            expected="orders that follow the market's own bars.",
            remedy="use --source alpaca, or add --demo to trade these bars in the demo account.",
        )
    if request.live:
        _check_live(values)
    if at_alpaca:
        _check_addresses()


def _check_limits(request: TradingRequest, values: Mapping[str, Any]) -> None:
    """Refuse limits where nothing checks them: they concern an account as a whole, in real time."""
    if request.realtime:
        return
    for option in ("max_deviation", "max_daily_loss", "max_loss", "max_positions", "max_orders_per_day"):
        if values[option] is not None:
            name = "--" + option.replace("_", "-")
            raise UsageError(
                f"{name} was given for a run that does not trade in real time.",
                expected="an account at Alpaca, or --demo with --source alpaca.",
                remedy=f"leave out {name}.",
            )


def _check_live(values: Mapping[str, Any]) -> None:
    require_live_switches("--live", live=True)
    for option in ("initial_balance", "max_notional"):
        if values[option] is None:
            name = "--" + option.replace("_", "-")
            raise UsageError(
                f"--live was given without {name}.",
                expected="--initial-balance, the budget, and --max-notional, the most money of one entry.",
                remedy=f"add {name}.",
            )


def _check_addresses() -> None:
    """Refuse orders at Alpaca itself on bars from a server on this machine."""
    from crypto_refactor.config import settings
    from crypto_refactor.transport.endpoints import is_loopback

    environment = settings()
    data, orders = environment.alpaca_data_url, environment.alpaca_trading_url
    if data and is_loopback(data) and not (orders and is_loopback(orders)):
        raise UsageError(
            "CRYPTO_ALPACA_DATA_URL names this machine, and CRYPTO_ALPACA_TRADING_URL does not.",
            expected="orders at Alpaca to follow Alpaca's own bars.",
            remedy="set both for a test, or neither.",
        )


def _check_time(request: TradingRequest, values: Mapping[str, Any]) -> None:
    if request.end is not None and request.realtime:
        raise UsageError(
            "--end was given for an account that fills in real time.",
            expected="no --end: such an account acts on the latest bar only.",
            remedy="leave out --end, or use --source files or sample.",
        )
    for option in ("replay_hours", "replay_delay"):
        if values[option] is not None and not request.replays:
            name = "--" + option.replace("_", "-")
            raise UsageError(
                f"{name} was given, but nothing is replayed.",
                expected=f"{name} with --demo on the source files or sample, without --once.",
                remedy=f"leave out {name}.",
            )
    if not 0 <= request.replay_delay < float("inf"):
        raise UsageError.invalid("--replay-delay", request.replay_delay, "seconds, 0 or more")
