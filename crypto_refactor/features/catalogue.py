"""The catalogue of built-in indicators: one entry holds everything about one of them.

Frames, networks and reports follow the catalogue, and what plug-ins add to it (`plugin_indicators`).  Contracts cover each
entry, and every model trained without it is retrained, because `catalogue_hash` is part of a model's card.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from crypto_refactor.arrays import FloatArray
from crypto_refactor.features import price_indicators as price
from crypto_refactor.features import volume_indicators as volume
from crypto_refactor.market.bars import Bars
from crypto_refactor.plugins import MAX_WARMUP

WARMUP = MAX_WARMUP
"""Bars at the start of every unbroken series without features."""
VERSION = 1
"""Raise it when the numbers of an indicator change but the text of its formula does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndicatorSpec:
    """One indicator.

    Attributes
    ----------
    name : str
        Column name.
    formula : str
        The value with its parameters; part of `catalogue_hash`.
    input_formula : str
        The model input from the value; part of `catalogue_hash`.
    source : str
        Author and year of the primary source.
    value : callable
        Unbroken bars -> the value for people and rules, float64 of shape (n,): row t depends on bars up to t
        only and is finite from `WARMUP` on.
    model_input : callable
        The same bars and the value -> the input of the network, float64 of shape (n,), free of the units of
        price and volume.
    """

    name: str
    formula: str
    input_formula: str
    source: str
    value: Callable[[Bars], FloatArray]
    model_input: Callable[[Bars, FloatArray], FloatArray]


def _per_close(bars: Bars, value: FloatArray) -> FloatArray:
    return value / bars.close


def _close_over(bars: Bars, value: FloatArray) -> FloatArray:
    return bars.close / value - 1.0


def _centred_percentage(_bars: Bars, value: FloatArray) -> FloatArray:
    return value / 100.0 - 0.5


def _unchanged(_bars: Bars, value: FloatArray) -> FloatArray:
    return value


CATALOGUE: tuple[IndicatorSpec, ...] = (
    IndicatorSpec(
        name="rsi",
        formula="100 * G / (G + L), Wilder averages (14) of gains and losses; 0/0: 50",
        input_formula="/ 100 - 0.5",
        source="Wilder (1978)",
        value=lambda bars: price.rsi(bars.close, 14),
        model_input=_centred_percentage,
    ),
    IndicatorSpec(
        name="stoch_rsi",
        formula="100 * (RSI(14) - min) / (max - min) over 14 bars, unsmoothed; 0/0: 50",
        input_formula="/ 100 - 0.5",
        source="Chande and Kroll (1994)",
        value=lambda bars: price.stoch_rsi(bars.close, 14),
        model_input=_centred_percentage,
    ),
    IndicatorSpec(
        name="macd_histogram",
        formula="M - EMA(M, 9), M = EMA(close, 12) - EMA(close, 26)",
        input_formula="/ close",
        source="Appel (1979), Aspray (1986)",
        value=lambda bars: price.macd_histogram(bars.close, 12, 26, 9),
        model_input=_per_close,
    ),
    IndicatorSpec(
        name="bollinger",
        formula="%B = (close - lower) / (upper - lower), bands mean(20) +/- 2 std(20, ddof 0); 0/0: 0.5",
        input_formula="- 0.5",
        source="Bollinger (2001)",
        value=lambda bars: price.percent_b(bars.close, 20, 2.0),
        model_input=lambda _bars, value: value - 0.5,
    ),
    IndicatorSpec(
        name="atr",
        formula="Wilder average (14) of max(high, last close) - min(low, last close)",
        input_formula="/ close",
        source="Wilder (1978)",
        value=lambda bars: price.atr(bars.high, bars.low, bars.close, 14),
        model_input=_per_close,
    ),
    IndicatorSpec(
        name="adx",
        formula="W(100 * |W(up) - W(down)| / (W(up) + W(down))), W = Wilder average (14); 0/0: 0",
        input_formula="/ 100",
        source="Wilder (1978)",
        value=lambda bars: price.adx(bars.high, bars.low, bars.close, 14),
        model_input=lambda _bars, value: value / 100.0,
    ),
    IndicatorSpec(
        name="ema_20",
        formula="EMA(close, 20)",
        input_formula="close / ema - 1",
        source="Brown (1959)",
        value=lambda bars: price.ema(bars.close, 20),
        model_input=_close_over,
    ),
    IndicatorSpec(
        name="ema_50",
        formula="EMA(close, 50)",
        input_formula="close / ema - 1",
        source="Brown (1959)",
        value=lambda bars: price.ema(bars.close, 50),
        model_input=_close_over,
    ),
    IndicatorSpec(
        name="obv",
        formula="OBV - mean(OBV, 20), an equal close counts as neither up nor down",
        input_formula="/ (20 * mean(volume, 20)); 0/0: 0",
        source="Granville (1963)",
        value=lambda bars: volume.obv(bars.close, bars.volume, 20),
        model_input=lambda bars, value: volume.obv_share(value, bars.volume, 20),
    ),
    IndicatorSpec(
        name="vwap",
        formula="sum(volume * (high + low + close) / 3) / sum(volume) over 24 bars; 0/0: close",
        input_formula="close / vwap - 1",
        source="Berkowitz, Logue and Noser (1988)",
        value=lambda bars: volume.vwap(bars.high, bars.low, bars.close, bars.volume, 24),
        model_input=_close_over,
    ),
    IndicatorSpec(
        name="volume_delta",
        formula="volume - last volume",
        input_formula="/ mean(volume, 24); 0/0: 0",
        source="Karpoff (1987)",
        value=lambda bars: volume.volume_delta(bars.volume),
        model_input=lambda bars, value: volume.volume_delta_share(value, bars.volume, 24),
    ),
    IndicatorSpec(
        name="volume_ratio",
        formula="volume / mean(volume, 10), this bar included; 0/0: 1",
        input_formula="- 1",
        source="Gervais, Kaniel and Mingelgrin (2001)",
        value=lambda bars: volume.volume_ratio(bars.volume, 10),
        model_input=lambda _bars, value: value - 1.0,
    ),
    IndicatorSpec(
        name="log_return",
        formula="log(close / last close)",
        input_formula="unchanged",
        source="Osborne (1959)",
        value=lambda bars: price.log_return(bars.close),
        model_input=_unchanged,
    ),
    IndicatorSpec(
        name="realised_volatility",
        formula="std(log_return, 24, ddof 1), per bar",
        input_formula="unchanged",
        source="Andersen, Bollerslev, Diebold and Labys (2003)",
        value=lambda bars: price.realised_volatility(bars.close, 24),
        model_input=_unchanged,
    ),
)
"""The built-in indicators, in the order of the model's input columns."""


def indicator_names(catalogue: Sequence[IndicatorSpec] = CATALOGUE) -> tuple[str, ...]:
    """Return the names of the columns, in order."""
    return tuple(spec.name for spec in catalogue)


def catalogue_hash(catalogue: Sequence[IndicatorSpec] = CATALOGUE) -> str:
    """Return a short hash of everything that decides the numbers: formulas, order, warm-up and `VERSION`."""
    entries = [(spec.name, spec.formula, spec.input_formula) for spec in catalogue]
    text = json.dumps([VERSION, WARMUP, entries])
    return hashlib.sha256(text.encode()).hexdigest()[:12]
