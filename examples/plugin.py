"""A plug-in: one more input of the model, one more condition, another network and another exit.

python3 models/app_backtester.py --source sample --plugin examples/plugin.py --network gru --exit rsi_extreme
"""

from typing import Any

import pandas as pd

from crypto_refactor.plugins import Bars, FloatArray, Plugin, Sides, Values

plugin = Plugin()


@plugin.indicator(warmup=38, source="Lambert (1980)", model_input=lambda _bars, value: value / 200)
def cci(bars: Bars) -> FloatArray:
    typical = pd.Series((bars.high + bars.low + bars.close) / 3)
    mean = typical.rolling(20).mean()
    deviation = (typical - mean).abs().rolling(20).mean()
    return ((typical - mean) / (0.015 * deviation.where(deviation > 0, 1.0))).fillna(0.0).to_numpy()


@plugin.condition(long="CCI > 0", short="CCI < 0")
def cci_side(values: Values) -> Sides:
    return values["cci"] > 0, values["cci"] < 0


@plugin.network()
def gru(keras: Any, x: Any, recipe: Any) -> Any:
    return keras.layers.GRU(16, kernel_regularizer=keras.regularizers.L2(recipe.l2))(x)


@plugin.exit()
def rsi_extreme(values: Values) -> Sides:
    return values["rsi"] < 70, values["rsi"] > 30
