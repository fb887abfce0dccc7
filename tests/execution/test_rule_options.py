from __future__ import annotations

import math
from dataclasses import fields

import pytest

from crypto_refactor.errors import UsageError
from crypto_refactor.execution.options import EXECUTION_OPTIONS, option_hints
from crypto_refactor.execution.rules import DEFAULT_FEE, ExecutionOptions, ExecutionRules, ExitRule
from crypto_refactor.execution.venues import ALPACA_FEE, ALPACA_MAX_DRAWDOWN, alpaca_rules
from crypto_refactor.market.ticker import Ticker

BTC = Ticker("BTC", "USD")

OUT_OF_RANGE = {
    "fee": ("--fee", (-0.001, 1.0, 5)),
    "slippage_bps": ("--slippage", (-1, 10_000)),
    "position_size": ("--position-size", (0.0, -0.5, 1.01)),
    "borrow": ("--borrow", (-0.01,)),
    "stop_loss": ("--stop-loss", (0.0, -0.05, 1.01)),
    "take_profit": ("--take-profit", (0.0, -0.05)),
    "max_drawdown": ("--max-drawdown", (0.0, -0.25, 1.01)),
    "max_notional": ("--max-notional", (0.0, -100.0)),
}


def test_the_table_of_options_is_that_of_the_fields():
    defaults = {field.name: field.default for field in fields(ExecutionOptions)}
    assert defaults == {name: spec.default for name, spec in EXECUTION_OPTIONS.items()}
    assert list(defaults) == list(EXECUTION_OPTIONS)
    assert set(EXECUTION_OPTIONS["exit"].choices) == set(ExitRule)


def test_the_exit_rule_may_be_given_as_text():
    assert ExecutionOptions(exit="fade").exit == ExitRule.FADE


def test_help_names_the_defaults_that_a_venue_changes():
    assert EXECUTION_OPTIONS["fee"].default_text == f"{DEFAULT_FEE}; at Alpaca {ALPACA_FEE}"
    assert EXECUTION_OPTIONS["max_drawdown"].default_text == f"off; at Alpaca {ALPACA_MAX_DRAWDOWN}"


@pytest.mark.parametrize("name", EXECUTION_OPTIONS)
def test_what_an_option_writes_it_reads(name):
    spec = EXECUTION_OPTIONS[name]
    values = [True, False] if spec.is_switch else [*spec.choices] or [0.05, 0.1]
    for value in values:
        assert spec.parse(spec.format(value)) == value
        assert spec.words(value) == (
            [] if value == spec.default else [f"--{spec.name}", str(value)][: 1 + (value is not True)]
        )
    for text in () if spec.extensible else ("", "nan", "perhaps"):
        with pytest.raises(ValueError, match=r".*"):
            spec.parse(text)


def test_without_a_venue_the_defaults_are_the_documented_ones():
    rules = ExecutionOptions().resolve(BTC)
    assert rules == ExecutionRules(
        fee=0.001,
        slippage_bps=0.0,
        position_size=1.0,
        exit=ExitRule.NEUTRAL,
        long_only=False,
        strict=False,
        borrow=0.0,
        stop_loss=None,
        take_profit=None,
        max_drawdown=None,
        max_notional=None,
        venue=None,
    )


def test_alpaca_brings_its_fee_its_drawdown_its_increments_and_no_shorts():
    rules = ExecutionOptions(venue="alpaca").resolve(BTC)
    assert (rules.fee, rules.max_drawdown, rules.long_only) == (0.0025, 0.25, True)
    assert rules.venue == alpaca_rules(BTC)


def test_what_was_given_wins_over_the_venue():
    rules = ExecutionOptions(venue="alpaca", fee=0.0, max_drawdown=0.5).resolve(BTC)
    assert (rules.fee, rules.max_drawdown) == (0.0, 0.5)


def test_a_fee_of_zero_is_given_not_missing():
    assert ExecutionOptions(fee=0.0).resolve(BTC).fee == 0.0


def test_every_option_reaches_the_rules():
    given = {
        "fee": 0.002,
        "slippage_bps": 3.0,
        "position_size": 0.5,
        "exit": ExitRule.FADE,
        "long_only": True,
        "strict": True,
        "borrow": 0.1,
        "stop_loss": 0.05,
        "take_profit": 2.0,
        "max_drawdown": 0.3,
        "max_notional": 1000.0,
    }
    assert ExecutionOptions(**given).resolve(BTC) == ExecutionRules(**given)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (name, value)
        for name, (_, values) in OUT_OF_RANGE.items()
        for value in (*values, math.nan, math.inf, -math.inf)
    ],
)
@pytest.mark.parametrize("venue", ["none", "alpaca"])
def test_a_value_out_of_range_is_refused_by_the_name_of_its_option(name, value, venue):
    option = OUT_OF_RANGE[name][0]
    with pytest.raises(UsageError) as caught:
        ExecutionOptions(venue=venue, **{name: value}).resolve(BTC)
    assert caught.value.what == f"{option} is {value:.12g}."
    assert option in caught.value.remedy
    assert caught.value.expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fee", 0.0),
        ("fee", 0.999),
        ("position_size", 1.0),
        ("stop_loss", 1.0),
        ("take_profit", 5.0),
        ("max_drawdown", 1.0),
        ("slippage_bps", 9_999.0),
    ],
)
def test_a_value_at_the_edge_of_its_range_is_accepted(name, value):
    assert getattr(ExecutionOptions(**{name: value}).resolve(BTC), name) == value


def test_a_ticker_the_venue_does_not_trade_is_refused():
    with pytest.raises(UsageError, match="ALGO/USD"):
        ExecutionOptions(venue="alpaca").resolve(Ticker("ALGO", "USD"))


def test_without_a_venue_every_ticker_has_rules():
    assert ExecutionOptions().resolve(Ticker("ALGO", "USD")).venue is None


def test_slippage_and_the_round_trip_are_fractions():
    rules = ExecutionRules(fee=0.001, slippage_bps=5)
    assert rules.slippage == pytest.approx(0.0005)
    assert rules.round_trip_cost == pytest.approx(0.003)


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("fee", 0.1, "--fee is a fraction: 0.1 is 10 % (0.1 % would be 0.001)."),
        ("fee", 0.25, "--fee is a fraction: 0.25 is 25 % (0.25 % would be 0.0025)."),
        ("slippage_bps", 0.001, "--slippage is in basis points: 0.001 is 1e-05 % (0.001 % would be 0.1)."),
        ("slippage_bps", 500.0, "--slippage is in basis points: 500 is 5 % (500 % would be 50000)."),
        ("borrow", 5.0, "--borrow is a fraction a year: 5 is 500 % (5 % would be 0.05)."),
        ("stop_loss", 0.5, "--stop-loss is a fraction: 0.5 is 50 % (0.5 % would be 0.005)."),
        ("take_profit", 3.0, "--take-profit is a fraction: 3 is 300 % (3 % would be 0.03)."),
        ("max_drawdown", 1.0, "--max-drawdown is a fraction: 1 is 100 % (1 % would be 0.01)."),
    ],
)
def test_a_number_that_looks_like_another_unit_is_explained(field, value, text):
    assert option_hints(ExecutionOptions(**{field: value})) == [text]


@pytest.mark.parametrize(
    "usual",
    [
        {"fee": 0.0},
        {"fee": 0.0002},
        {"fee": 0.012},
        {"slippage_bps": 0.5},
        {"slippage_bps": 50.0},
        {"borrow": 0.3},
        {"stop_loss": 0.05, "take_profit": 0.5, "max_drawdown": 0.5},
        {"position_size": 0.1, "max_notional": 50.0},
        {"venue": "alpaca"},
    ],
)
def test_usual_numbers_need_no_explanation(usual):
    assert option_hints(ExecutionOptions(**usual)) == []
