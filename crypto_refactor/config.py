"""Frozen settings from the environment and `.env`, and the folders everything is anchored at."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from crypto_refactor.errors import UsageError

_PACKAGE = Path(__file__).resolve().parent


def checkout_root() -> Path | None:
    """Return the checkout this package runs from, or None when it was installed without one."""
    root = _PACKAGE.parent
    return root if (root / "pyproject.toml").is_file() and (root / "tickers.txt").is_file() else None


def _anchor(name: str) -> Path:
    root = checkout_root()
    if root is not None:
        return root / name
    from platformdirs import user_data_path

    return user_data_path("crypto-refactor", appauthor=False) / name


class EnvironmentSettings(BaseSettings):
    """What the environment may override; every field is also an option of the commands that use it.

    Attributes
    ----------
    source : str
        Where bars come from: ``alpaca``, ``files`` or ``sample``.
    data_dir : Path or None
        Folder of ``<base>_<quote>_1h.csv`` files, for ``source = files``.
    model_dir, state_dir : Path
        Models and their cache; the bar store.  Anchored at the checkout or the user's data folder,
        never at the working directory.
    cluster : str or None
        Address of a Dask scheduler whose workers train models; by default this machine does.
    alpaca_data_url : str or None
        Another address for Alpaca's data API (a test server on loopback).
    alpaca_trading_url : str or None
        Another address for Alpaca's trading API (a test server on loopback); never for a live account.
    alpaca_api_key, alpaca_secret_key : SecretStr or None
        ``ALPACA_API_KEY`` and ``ALPACA_SECRET_KEY``.
    alpaca_paper : bool
        ``ALPACA_PAPER``, true or false; real money moves only where it is false and ``--live`` is given.
    """

    model_config = SettingsConfigDict(
        env_prefix="CRYPTO_", env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True
    )

    @field_validator("model_dir", "state_dir")
    @classmethod
    def _anchored(cls, folder: Path) -> Path:
        """Read a relative folder from the anchor, so that it is the same wherever a command is started."""
        folder = folder.expanduser()
        return folder if folder.is_absolute() else _anchor(str(folder))

    @field_validator("alpaca_paper", mode="before")
    @classmethod
    def _true_or_false(cls, value: object) -> bool:
        """Read the one setting that stands between paper and real money, and guess at nothing."""
        said = {"true": True, "1": True, "false": False, "0": False}.get(str(value).strip().lower())
        if said is None:
            raise UsageError(
                f"ALPACA_PAPER is {value!r}.",
                expected="true or 1, false or 0.",
                remedy="correct ALPACA_PAPER, or unset it to trade on paper.",
            )
        return said

    source: str = "alpaca"
    data_dir: Path | None = None
    model_dir: Path = Field(default_factory=lambda: _anchor("models") / "data")
    state_dir: Path = Field(default_factory=lambda: _anchor("state"))
    cluster: str | None = None
    alpaca_data_url: str | None = None
    alpaca_trading_url: str | None = None
    alpaca_api_key: SecretStr | None = Field(default=None, validation_alias="ALPACA_API_KEY")
    alpaca_secret_key: SecretStr | None = Field(default=None, validation_alias="ALPACA_SECRET_KEY")
    alpaca_paper: bool = Field(default=True, validation_alias="ALPACA_PAPER")


@lru_cache(maxsize=1)
def settings() -> EnvironmentSettings:
    """Read the environment once per process.  A `.env` beside the checkout is read too."""
    root = checkout_root()
    return EnvironmentSettings(_env_file=(root / ".env") if root else ".env")  # type: ignore[call-arg]  # unknown to mypy without its plugin


def tickers_file() -> Path:
    """Return the list of supported tickers: the checkout's, or the copy shipped in the package."""
    root = checkout_root()
    return (root / "tickers.txt") if root else _PACKAGE / "tickers.txt"
