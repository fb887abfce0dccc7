"""What the file of a plug-in uses: one object whose decorators declare indicators, conditions, networks and exits."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from crypto_refactor.arguments import is_whole
from crypto_refactor.arrays import FloatArray
from crypto_refactor.errors import PluginError
from crypto_refactor.market.bars import Bars
from crypto_refactor.plugins.declarations import (
    Condition,
    Exit,
    Indicator,
    IndicatorInput,
    IndicatorValue,
    Network,
    NetworkBuilder,
    Origin,
    SidesTest,
    add_declaration,
)

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])
MAX_WARMUP = 500
"""Bars at the start of every unbroken series without features."""


def _unchanged(_bars: Bars, value: FloatArray) -> FloatArray:
    return value


class Plugin:
    """Your own indicators, conditions, networks and exits.

    A plug-in is one Python file with one such object at its top level::

        plugin = Plugin()

        @plugin.indicator(warmup=20, model_input=lambda bars, value: value / bars.close)
        def range_mean(bars):
            return pd.Series(bars.high - bars.low).rolling(20).mean().to_numpy()

    Names are those of the functions unless `name` is given.  The decorators return the functions unchanged.
    """

    def __init__(self) -> None:
        self.indicators: list[Indicator] = []
        self.conditions: list[Condition] = []
        self.networks: list[Network] = []
        self.exits: list[Exit] = []

    def indicator(
        self,
        *,
        warmup: int,
        model_input: IndicatorInput = _unchanged,
        formula: str = "",
        input_formula: str = "",
        source: str = "",
        name: str | None = None,
    ) -> Callable[[IndicatorValue], IndicatorValue]:
        """Declare an indicator by a function of unbroken bars, which returns float64 of shape (n,).

        Parameters
        ----------
        warmup : int
            Bars at the start of a series, 0 to 500, at which the value may be missing or depend on where the series begins.
            From then on it is finite and does not.
        model_input : callable
            Bars and value -> the input of the model, shape (n,), free of the units of price and volume; by default the value.
        formula, input_formula : str
            Both in words, for people.
        source : str
            Where the formula comes from, such as an author and a year.
        name : str, optional
            By default that of the function.

        Raises
        ------
        PluginError
            If the name is no name or is taken, or the warm-up is out of range.
        """

        def declare(function: IndicatorValue) -> IndicatorValue:
            origin = _origin(function, name)
            _require_texts(origin, formula=formula, input_formula=input_formula, source=source)
            if not is_whole(warmup) or not 0 <= warmup <= MAX_WARMUP:
                raise origin.error(f"its warm-up is {warmup!r}", expected=f"0 to {MAX_WARMUP} bars.")
            declaration = Indicator(
                name=origin.name,
                origin=origin,
                value=function,
                model_input=model_input,
                warmup=warmup,
                formula=formula,
                input_formula=input_formula,
                source=source,
            )
            add_declaration(self.indicators, declaration)
            return function

        return declare

    def condition(
        self, *, long: str, short: str, name: str | None = None
    ) -> Callable[[SidesTest], SidesTest]:
        """Declare a condition by a function of `Values`: whether it holds for long and for short, bool of shape (m,) each.

        `long` and `short` say it in words.  It counts among the confirmations; raise ``--min-confirmations`` to require more
        of them.
        """

        def declare(function: SidesTest) -> SidesTest:
            origin = _origin(function, name)
            _require_texts(origin, long=long, short=short)
            declaration = Condition(
                name=origin.name, origin=origin, holds=function, long_text=long, short_text=short
            )
            add_declaration(self.conditions, declaration)
            return function

        return declare

    def network(self, *, name: str | None = None) -> Callable[[NetworkBuilder], NetworkBuilder]:
        """Declare a network for ``--network`` by a function of Keras, the scaled inputs and the `Recipe`.

        It gets inputs of shape (batch, lookback, inputs) and returns what the dense layers of the residual read, of shape
        (batch, units); everything must have an ONNX form.
        """

        def declare(function: NetworkBuilder) -> NetworkBuilder:
            origin = _origin(function, name)
            add_declaration(self.networks, Network(name=origin.name, origin=origin, build=function))
            return function

        return declare

    def exit(self, *, name: str | None = None) -> Callable[[SidesTest], SidesTest]:
        """Declare an exit for ``--exit`` by a function of `Values`: whether a long, and a short, is kept without a signal.

        It returns bool of shape (m,) each.  An opposite signal always closes a position.
        """

        def declare(function: SidesTest) -> SidesTest:
            origin = _origin(function, name)
            add_declaration(self.exits, Exit(name=origin.name, origin=origin, keeps=function))
            return function

        return declare


def _require_texts(origin: Origin, **texts: object) -> None:
    for name, text in texts.items():
        if not isinstance(text, str):
            raise origin.error(f"{name} is {text!r}", expected="a text.")


def _origin(function: AnyFunction, name: str | None) -> Origin:
    code = getattr(function, "__code__", None)
    if code is None:
        raise PluginError(
            f"A {type(function).__name__} was declared in a plug-in.",
            expected="a function.",
            remedy="write def NAME(…): … under the decorator.",
        )
    return Origin(path=Path(code.co_filename), line=code.co_firstlineno, name=name or function.__name__)
