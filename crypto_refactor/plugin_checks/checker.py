"""All contracts of all pieces of a plug-in, on one or more stretches of bars."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from crypto_refactor.errors import PluginError
from crypto_refactor.execution.rules import known_exits
from crypto_refactor.features.plugin_indicators import catalogue_of
from crypto_refactor.market.bars import Bars
from crypto_refactor.model.networks import networks_of
from crypto_refactor.plugin_checks import indicator_contracts
from crypto_refactor.plugin_checks.contract import Contract
from crypto_refactor.plugin_checks.indicator_contracts import IndicatorTrial
from crypto_refactor.plugin_checks.network_contract import network_contracts
from crypto_refactor.plugin_checks.sides_contracts import SidesTrial
from crypto_refactor.plugin_checks.trial_bars import TrialBars, trial_bars
from crypto_refactor.plugins import Condition, Exit, Plugin, PluginFile, load
from crypto_refactor.signals.condition_catalogue import conditions_of


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginReport:
    """What the checks of a plug-in found."""

    file: PluginFile
    contracts: tuple[Contract, ...]
    milliseconds: dict[str, float]  # of each indicator, for 1,000 bars
    bars: tuple[str, ...]  # what it was tried on

    @property
    def passed(self) -> bool:
        """Whether every contract is kept."""
        return all(contract.kept for contract in self.contracts)

    def to_dict(self) -> dict[str, Any]:
        """Return the documented JSON."""
        return {
            "schema": 1,
            "plugin": {**self.file.to_dict(), "path": str(self.file.path)},
            "bars": list(self.bars),
            "contracts": [contract.to_dict() for contract in self.contracts],
            "milliseconds_per_1000_bars": self.milliseconds,
            "passed": self.passed,
        }


def check_plugin(file: PluginFile, series: Sequence[Bars]) -> PluginReport:
    """Check every piece of a plug-in on the last stretch of each of `series`; a network on the first of them alone.

    Raises
    ------
    PluginError
        If the plug-in cannot be loaded or declares nothing, or a name is taken.
    DataError
        If a series has no stretch that is long enough.
    """
    # Names are checked by everything that joins built-in and other pieces.
    for joined in (catalogue_of, conditions_of, networks_of, known_exits):
        joined((file,))
    trials = [trial for bars in series for trial in trial_bars(bars)]
    plugin = load(file)
    if not (plugin.indicators or plugin.conditions or plugin.networks or plugin.exits):
        raise PluginError(
            f"The plug-in {file.path} declares nothing.",
            expected="an indicator, a condition, a network or an exit.",
            remedy="write a function under a decorator of its Plugin object.",
        )
    found = [contract for trial in trials for contract in _contracts(file, trial)]
    shapeless = {contract.piece for contract in found if contract.name == "shape" and not contract.kept}
    milliseconds = {
        each.name: IndicatorTrial(file, each.name, each.warmup, trials[0]).milliseconds()
        for each in plugin.indicators
        if each.name not in shapeless
    }
    # Networks and conditions need the indicators: where these are broken, nothing can be said of them.
    if not any(contract.kind == indicator_contracts.KIND and not contract.kept for contract in found):
        found += [contract for trial in trials for contract in _sides(file, trial)]
        found += [
            contract for each in plugin.networks for contract in network_contracts(file, each.name, trials[0])
        ]
    return PluginReport(
        file=file,
        contracts=tuple(_worst(found)),
        milliseconds=milliseconds,
        bars=tuple(trial.name for trial in trials),
    )


def _contracts(file: PluginFile, trial: TrialBars) -> Iterator[Contract]:
    for each in load(file).indicators:
        yield from IndicatorTrial(file, each.name, each.warmup, trial).contracts()


def _sides(file: PluginFile, trial: TrialBars) -> Iterator[Contract]:
    plugin = load(file)
    for kind, pieces in (("condition", plugin.conditions), ("exit", plugin.exits)):
        for index, _ in enumerate(pieces):
            yield from SidesTrial(kind, file, partial(_piece, kind, index), trial).contracts()


def _piece(kind: str, index: int, plugin: Plugin) -> Condition | Exit:
    return plugin.conditions[index] if kind == "condition" else plugin.exits[index]


def _worst(found: Sequence[Contract]) -> list[Contract]:
    """Return each contract of each piece once: broken where any bars broke it, by the first that did."""
    worst: dict[tuple[str, str, str], Contract] = {}
    for contract in found:
        key = contract.kind, contract.piece, contract.name
        if key not in worst or (worst[key].kept and not contract.kept):
            worst[key] = contract
    return list(worst.values())
