"""What a sub-account was traded with, from one change of settings to the next."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from crypto_refactor.errors import BrokerError, CryptoRefactorError
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.execution.venues import VenueRules
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.signals.conditions import SignalRules
from crypto_refactor.trading.ledger import Ledger, SettingsRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """The settings in force from the close `first` on; `model` names a pinned model, `data_dir` a folder of bars."""

    first: int
    source: str
    data_dir: Path | None
    settings: ModelSettings
    signal_rules: SignalRules
    rules: ExecutionRules
    model: str | None


def read_segments(ledger: Ledger, rows: Sequence[SettingsRow], ticker: Ticker) -> tuple[Segment, ...]:
    """Return the segments that the ledger keeps.

    Raises
    ------
    BrokerError
        If one cannot be read, or needs a plug-in that is gone or has changed.
    """
    segments = []
    for row in rows:
        try:
            segments.append(_segment(row))
        except (KeyError, TypeError, ValueError) as error:
            raise ledger.damaged(f"the settings of {ticker} make no sense: {error}") from error
        except CryptoRefactorError as error:
            raise BrokerError(
                f"The settings that {ticker} was traded with cannot be used: {error.what}",
                expected=error.expected,
                remedy=error.remedy,
            ) from error
    return tuple(segments)


def _segment(row: SettingsRow) -> Segment:
    about = row.about
    folder = about.get("data_dir")
    return Segment(
        first=row.bar,
        source=about["source"],
        data_dir=None if folder is None else Path(folder),
        settings=_model_settings(about["settings"], about.get("plugin_paths", ())),
        signal_rules=SignalRules(**about["signal_rules"]),
        rules=_rules(row.rules),
        model=about["model"],
    )


def _model_settings(values: dict[str, Any], paths: Sequence[str]) -> ModelSettings:
    known = {each.name for each in fields(ModelSettings)}
    given = {name: value for name, value in values.items() if name in known}
    files = values.get("plugins", [])
    settings = ModelSettings(**{**given, "plugins": tuple(map(Path, paths))})
    changed = [
        kept["name"] for kept, file in zip(files, settings.plugins, strict=True) if kept["hash"] != file.hash
    ]
    if changed:
        raise BrokerError(
            f"the plug-in {', '.join(changed)} has changed since.",
            expected="the file that the account was traded with.",
            remedy="bring it back.",
        )
    return settings


def _rules(values: dict[str, Any]) -> ExecutionRules:
    venue = values["venue"]
    if venue is not None:
        limit = venue["max_notional"]
        venue = VenueRules(**{**venue, "max_notional": float("inf") if limit is None else limit})
    return ExecutionRules(**{**values, "venue": venue})
