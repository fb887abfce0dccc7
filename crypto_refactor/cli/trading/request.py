"""What a trading command line asks for, checked before anything is read or sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from crypto_refactor.cli import options
from crypto_refactor.cli.execution_options import rule_options
from crypto_refactor.cli.strategy_options import model_settings, signal_rules, training_cluster
from crypto_refactor.errors import UsageError

if TYPE_CHECKING:
    from crypto_refactor.market.ticker import Ticker
    from crypto_refactor.trading.session import TradingSession

DEFAULT_BALANCE = 100_000.0
DEFAULT_REPLAY_HOURS = 72


class Passes(StrEnum):
    """How often a run decides."""

    ONE = "one"
    UNTIL_STOPPED = "until stopped"


class AccountKind(StrEnum):
    """Where a run acts."""

    NOWHERE = "nowhere"
    DEMO = "demo"
    ALPACA = "alpaca"


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingRequest:
    """A trading run as asked for.

    Attributes
    ----------
    setup : TradingSession
        What is traded.
    passes : Passes
        Once, or until stopped.
    where : AccountKind
        In which kind of account.
    live : bool
        Whether with real money.
    end : int or None
        Now, for bars that have passed.
    replay_hours : int
        Length of a replay.
    replay_delay : float
        Seconds to wait after each hour of it.
    """

    setup: TradingSession
    passes: Passes
    where: AccountKind
    live: bool
    end: int | None
    replay_hours: int
    replay_delay: float

    @property
    def realtime(self) -> bool:
        """Whether orders fill as time passes: at Alpaca, or in the demo account on Alpaca's bars."""
        return self.where is not AccountKind.NOWHERE and self.setup.source.name == "alpaca"

    @property
    def replays(self) -> bool:
        """Whether a window that has passed is replayed."""
        return self.passes is Passes.UNTIL_STOPPED and not self.realtime


def read_request(
    values: Mapping[str, Any],
    *,
    tickers: tuple[Ticker, ...],
    asked: bool,
    passes: Passes,
    where: AccountKind,
    workers: int,
) -> TradingRequest:
    """Check a command line and return what it asks for.

    Raises
    ------
    UsageError
        If its options contradict each other.
    """
    live = bool(values["live"])
    setup = _setup(values, tickers=tickers, asked=asked, live=live, where=where, workers=workers)
    request = TradingRequest(
        setup=setup,
        passes=passes,
        where=where,
        live=live,
        end=values["end"],
        replay_hours=DEFAULT_REPLAY_HOURS if values["replay_hours"] is None else values["replay_hours"],
        replay_delay=values["replay_delay"] or 0.0,
    )
    _check_account(request, values)
    _check_time(request, values)
    return request


def _setup(
    values: Mapping[str, Any],
    *,
    tickers: tuple[Ticker, ...],
    asked: bool,
    live: bool,
    where: AccountKind,
    workers: int,
) -> TradingSession:
    import time
    from datetime import UTC, datetime

    from crypto_refactor.cli.progress import TrainingBars
    from crypto_refactor.config import settings
    from crypto_refactor.model.named_models import model_name
    from crypto_refactor.trading.session import TradingSession

    rules = rule_options(values)
    if where is AccountKind.ALPACA:
        rules = replace(rules, venue="alpaca")
    strict = click.get_current_context().get_parameter_source("strict")
    if live and strict is ParameterSource.DEFAULT:
        rules = replace(rules, strict=True)
    replace(rules, venue="none").resolve(
        tickers[0]
    )  # figures out of range are refused before anything is asked
    balance = DEFAULT_BALANCE if values["initial_balance"] is None else values["initial_balance"]
    if not 0 < balance < float("inf"):
        raise UsageError(
            f"--initial-balance is {balance}.",
            expected="an amount above 0.",
            remedy="correct --initial-balance.",
        )
    return TradingSession(
        tickers=tickers,
        explicitly_requested=asked,
        source=options.open_selected_source(values["source"], values["data_dir"], values["state_dir"]),
        settings=model_settings(values),
        signal_rules=signal_rules(values),
        options=rules,
        model=None if values["model"] is None else model_name(values["model"]),
        model_dir=settings().model_dir,
        state_dir=values["state_dir"] or settings().state_dir,
        initial_balance=balance,
        allow_gaps=values["allow_gaps"],
        workers=workers,
        observer=TrainingBars(),
        clock=lambda: datetime.now(UTC),
        sleep=time.sleep,
        cluster=training_cluster(values),
    )


def _check_account(request: TradingRequest, values: Mapping[str, Any]) -> None:
    source = request.setup.source.name
    venue = click.get_current_context().get_parameter_source("venue")
    if (
        request.where is AccountKind.ALPACA
        and venue is ParameterSource.COMMANDLINE
        and values["venue"] == "none"
    ):
        raise UsageError(
            "--venue none was given for an account at Alpaca.",
            expected="Alpaca's own rules there.",
            remedy="leave out --venue, or add --demo.",
        )
    if request.live and request.where is not AccountKind.ALPACA:
        raise UsageError(
            "--live was given for a run that does not trade at Alpaca.",
            expected="--live without --demo, and a mode that trades.",
            remedy="leave out --live, or --demo.",
        )
    if request.where is AccountKind.ALPACA and source != "alpaca":
        raise UsageError(
            f"An account at Alpaca cannot be traded on the source {source}.",
            expected="--source alpaca: orders follow the market's own bars.",
            remedy="use --source alpaca, or add --demo to trade these bars in the demo account.",
        )
    if request.live:
        _check_live(values)
    if request.where is AccountKind.ALPACA:
        _check_addresses()


def _check_live(values: Mapping[str, Any]) -> None:
    from crypto_refactor.config import settings

    chosen = settings()
    if chosen.alpaca_paper:
        raise UsageError(
            "--live was given, and ALPACA_PAPER is not false.",
            expected="both, so that nobody trades real money by one slip.",
            remedy="set ALPACA_PAPER=false to trade real money, or leave out --live.",
        )
    if chosen.alpaca_data_url or chosen.alpaca_trading_url:
        raise UsageError(
            "--live was given while CRYPTO_ALPACA_DATA_URL or CRYPTO_ALPACA_TRADING_URL is set.",
            expected="bars and orders of a live account to be Alpaca's own.",
            remedy="unset both, or leave out --live.",
        )
    for option in ("initial_balance", "max_notional"):
        if values[option] is None:
            name = "--" + option.replace("_", "-")
            raise UsageError(
                f"--live was given without {name}.",
                expected="--initial-balance, the budget, and --max-notional, the most money of one entry.",
                remedy=f"add {name}.",
            )


def _check_addresses() -> None:
    """Refuse orders at Alpaca itself on bars that a server on this machine hands out."""
    from crypto_refactor.config import settings
    from crypto_refactor.transport.endpoints import is_loopback

    chosen = settings()
    data, orders = chosen.alpaca_data_url, chosen.alpaca_trading_url
    if data and is_loopback(data) and not (orders and is_loopback(orders)):
        raise UsageError(
            "CRYPTO_ALPACA_DATA_URL names this machine, and CRYPTO_ALPACA_TRADING_URL does not.",
            expected="orders at Alpaca to follow Alpaca's own bars.",
            remedy="set both for a test, or neither.",
        )


def _check_time(request: TradingRequest, values: Mapping[str, Any]) -> None:
    if request.end is not None and request.realtime:
        raise UsageError(
            "--end was given for an account that fills as time passes.",
            expected="no --end: such an account acts on the latest bar only.",
            remedy="leave out --end, or use --source files or sample.",
        )
    for option in ("replay_hours", "replay_delay"):
        if values[option] is not None and not request.replays:
            name = "--" + option.replace("_", "-")
            raise UsageError(
                f"{name} was given, and nothing is replayed.",
                expected=f"{name} with --demo on the source files or sample, without --once.",
                remedy=f"leave out {name}.",
            )
    if not 0 <= request.replay_delay < float("inf"):
        raise UsageError(
            f"--replay-delay is {request.replay_delay}.",
            expected="seconds, 0 or more.",
            remedy="correct --replay-delay.",
        )
