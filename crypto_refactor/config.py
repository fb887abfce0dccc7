"""Settings from the environment and `.env`, and the folders that hold state."""

import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from crypto_refactor.env_file import readable_env_file
from crypto_refactor.errors import UsageError

_PACKAGE = Path(__file__).resolve().parent
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
FILE_SETTINGS = (
    *(
        "source",
        "data_dir",
        "model_dir",
        "state_dir",
        "tickers",
        "journal",
        "record",
        "cluster",
        "log_file",
        "log_level",
    ),
    *("alpaca_data_url", "alpaca_trading_url"),
)
"""What a configuration file may set in place of the environment."""


def checkout_root() -> Path | None:
    """Return the checkout that this package runs from, or None if it was installed without one."""
    root = _PACKAGE.parent
    return root if (root / "pyproject.toml").is_file() and (root / "tickers.txt").is_file() else None


def _anchor(name: str) -> Path:
    root = checkout_root()
    if root is not None:
        return root / name
    from platformdirs import user_data_path

    return user_data_path("crypto-refactor", appauthor=False) / name


class EnvironmentSettings(BaseSettings):
    """Defaults that the environment may override: ``CRYPTO_SOURCE`` and so on.

    Attributes
    ----------
    source : str
        The source of bars: ``alpaca``, ``files`` or ``sample``.
    data_dir : Path or None
        Folder of ``<base>_<quote>_1h.csv`` files, for the source ``files``.
    model_dir, state_dir : Path
        Models and their cache; the bar store.  Relative folders start at the checkout or the user's data folder,
        never at the working directory.
    tickers : Path or None
        Another list of tickers than ``tickers.txt``; anchored as these folders are.
    journal : bool
        Whether backtests, comparisons and evaluations are recorded in ``trials.sqlite`` of the state folder.
    record : bool
        Whether forecasts that no account acts on are kept in the ledger; those of an account always are.
    cluster : str or None
        Address of a Dask scheduler whose workers train models; by default this machine does.
    plugins : str
        Plug-ins of every run, as paths or names of installed ones, separated as folders in ``PATH`` are.
    config : Path or None
        A TOML file of options and settings, which the command line and the environment override.
    log_file : Path or None
        Where trading runs keep their log.
    log_level : str
        What that log keeps: ``DEBUG``, ``INFO``, ``WARNING`` or ``ERROR``.
    notify : SecretStr or None
        Receivers of notices where a command names none, separated by white space.
    alpaca_data_url, alpaca_trading_url : str or None
        Other URLs of Alpaca's two APIs (a test server on loopback); never for a live account.
    alpaca_api_key, alpaca_secret_key : SecretStr or None
        ``ALPACA_API_KEY`` and ``ALPACA_SECRET_KEY``.
    alpaca_paper : bool
        ``ALPACA_PAPER``; real money moves only if it is false and ``--live`` is given.
    """

    model_config = SettingsConfigDict(
        env_prefix="CRYPTO_",
        env_file_encoding="utf-8-sig",  # editors of Windows begin a file with a mark of its encoding
        extra="ignore",
        frozen=True,
        env_ignore_empty=True,
    )

    @field_validator("model_dir", "state_dir", "tickers", "config", "log_file")
    @classmethod
    def _anchored(cls, folder: Path | None) -> Path | None:
        """Anchor a relative folder, so that it does not depend on the working directory."""
        if folder is None:
            return None
        try:
            folder = folder.expanduser()
        except RuntimeError as error:
            raise ValueError("its ~ names no home folder") from error
        return folder if folder.is_absolute() else _anchor(str(folder))

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, level: str) -> str:
        """Return a level of the log in capitals."""
        if level.upper() not in LOG_LEVELS:
            raise ValueError("no level of a log")
        return level.upper()

    @field_validator("alpaca_paper", mode="before")
    @classmethod
    def _true_or_false(cls, value: object) -> bool:
        """Parse the setting that separates paper from real money, without guessing."""
        paper = {"true": True, "1": True, "false": False, "0": False}.get(str(value).strip().lower())
        if paper is None:
            raise UsageError(
                "ALPACA_PAPER is neither true nor false.",
                expected="true or 1, false or 0.",
                remedy="correct ALPACA_PAPER, or unset it to trade on paper.",
            )
        return paper

    @property
    def plugin_names(self) -> tuple[str, ...]:
        """The plug-ins one by one."""
        return tuple(name for name in self.plugins.split(os.pathsep) if name)

    @property
    def notify_urls(self) -> tuple[str, ...]:
        """The receivers of notices one by one."""
        return () if self.notify is None else tuple(self.notify.get_secret_value().split())

    source: str = "alpaca"
    data_dir: Path | None = None
    model_dir: Path = Field(default_factory=lambda: _anchor("models") / "data")
    state_dir: Path = Field(default_factory=lambda: _anchor("state"))
    tickers: Path | None = None
    journal: bool = True
    record: bool = True
    cluster: str | None = None
    plugins: str = ""
    config: Path | None = None
    log_file: Path | None = None
    log_level: str = "INFO"
    notify: SecretStr | None = None
    alpaca_data_url: str | None = None
    alpaca_trading_url: str | None = None
    alpaca_api_key: SecretStr | None = Field(default=None, validation_alias="ALPACA_API_KEY")
    alpaca_secret_key: SecretStr | None = Field(default=None, validation_alias="ALPACA_SECRET_KEY")
    alpaca_paper: bool = Field(default=True, validation_alias="ALPACA_PAPER")


class _SettingsFile:
    """What the configuration file of this process sets, below the environment."""

    def __init__(self) -> None:
        self.path: Path | None = None
        self.values: Mapping[str, object] = {}


_file = _SettingsFile()


def use_file_settings(path: Path | None, values: Mapping[str, object]) -> None:
    """Let a configuration file set what the environment leaves open, from now on; None for no file."""
    if (path, values) != (_file.path, _file.values):
        _file.path, _file.values = path, values
        settings.cache_clear()


def _env_file() -> Path:
    return (checkout_root() or Path()) / ".env"


def config_file() -> Path | None:
    """Return the configuration file that the environment or the `.env` names.

    Where neither mentions one, nothing else of them is read: a command that stops trading works beside a wrong setting.
    """
    mentioned = bool(os.environ.get("CRYPTO_CONFIG"))
    with suppress(OSError):  # whoever reads a setting is told why the file cannot be read
        if not mentioned and _env_file().is_file():
            mentioned = b"CRYPTO_CONFIG" in _env_file().read_bytes().upper()
    return environment_settings().config if mentioned else None


@lru_cache(maxsize=1)
def settings() -> EnvironmentSettings:
    """Read the environment, the `.env` of the checkout and the configuration file, once per process.

    Raises
    ------
    UsageError
        If a setting, or the `.env`, cannot be used.  No value of either is ever shown: it may be a secret.
    """
    if not _file.values:
        return environment_settings()
    given = environment_settings().model_fields_set
    return _read_settings({name: value for name, value in _file.values.items() if name not in given})


def environment_settings() -> EnvironmentSettings:
    """Read the environment and the `.env` alone, with the errors of `settings`."""
    return _read_settings({})


def _read_settings(from_file: dict[str, object]) -> EnvironmentSettings:
    env_file = readable_env_file(_env_file())
    try:
        return EnvironmentSettings(_env_file=env_file, **from_file)  # type: ignore[call-arg,arg-type]  # unknown to mypy without its plugin
    except ValidationError as error:
        failure = _invalid(error, from_file)
    raise failure  # outside the handler: chained, it would carry the values


def _invalid(error: ValidationError, from_file: Collection[str]) -> UsageError:
    names = {str(detail["loc"][0]) if detail["loc"] else "a setting" for detail in error.errors()}
    wrong = sorted(name for name in names if name in from_file)
    if wrong:
        return UsageError(
            f"{', '.join(wrong)} of {_file.path} cannot be used.",
            expected="the settings that docs/settings.md lists, each with a value of its kind.",
            remedy=f"correct {', '.join(wrong)} in that file.",
        )
    fields = ", ".join(sorted(name if name.isupper() else f"CRYPTO_{name.upper()}" for name in names))
    return UsageError(
        f"{fields} cannot be used.",
        expected="the settings that docs/settings.md lists, each with a value of its kind.",
        remedy=f"correct or unset {fields}, in the environment or in .env.",
    )


def tickers_file() -> Path:
    """Return the list of tickers: that of ``CRYPTO_TICKERS``, of the checkout, or in the user's data folder."""
    return settings().tickers or _anchor("tickers.txt")


def packaged_tickers() -> Path | None:
    """Return the list that a new user's own begins as, None where no list but the selected one counts."""
    installed = settings().tickers is None and checkout_root() is None
    return _PACKAGE / "tickers.txt" if installed else None
