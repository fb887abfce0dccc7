"""The files of plug-ins: named by the user, read once, and known by the hash of their content.

What was read is what runs: it goes with the settings to processes and workers beside this one, so that a file that
changes meanwhile changes nothing.
"""

import hashlib
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType

from crypto_refactor.errors import PluginError, UsageError
from crypto_refactor.plugins.declarations import (
    Condition,
    Declaration,
    Exit,
    Indicator,
    Network,
    add_declaration,
    running,
)
from crypto_refactor.plugins.plugin import Plugin

GROUP = "crypto_refactor.plugins"
"""Entry points of installed plug-ins: each names a module."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginFile:
    """The content of one plug-in."""

    name: str  # the file's without its ending, or the entry point's
    path: Path
    source: str

    @property
    def hash(self) -> str:
        """Hash of the content."""
        return hashlib.sha256(self.source.encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, str]:
        """Return what outputs and records say of it."""
        return {"name": self.name, "hash": self.hash}


AnyPlugin = PluginFile | Path | str
"""What people give as a plug-in: a path, the name of an entry point, or what was read before."""


def plugin_hashes(files: Iterable[PluginFile]) -> dict[str, str]:
    """Return the hash of each plug-in by its name."""
    return {file.name: file.hash for file in files}


def read_plugins(given: AnyPlugin | Iterable[AnyPlugin]) -> tuple[PluginFile, ...]:
    """Read each plug-in once, in the order given.

    Raises
    ------
    UsageError
        If there is no such file or entry point, or two have one name.
    """
    if not isinstance(given, PluginFile | Path | str | Iterable):
        raise UsageError.invalid("plugins", given, "paths of Python files, or names of installed plug-ins")
    files: dict[str, PluginFile] = {}
    for each in [given] if isinstance(given, PluginFile | Path | str) else given:
        file = each if isinstance(each, PluginFile) else _read(each)
        other = files.setdefault(file.name, file)
        if other != file:
            raise UsageError(
                f"Two plug-ins are called {file.name!r}: {other.path} and {file.path}.",
                expected="another name for each, because records know them by it.",
                remedy="rename one of the files.",
            )
    return tuple(files.values())


def _read(given: Path | str) -> PluginFile:
    if not isinstance(given, Path | str):
        raise UsageError.invalid("plugins", given, "paths of Python files, or names of installed plug-ins")
    path = Path(given).expanduser()
    name = path.stem
    if not path.exists() and path.suffix != ".py":
        name, path = str(given), _module_file(str(given))
    try:
        return PluginFile(name=name, path=path.resolve(), source=path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(
            f"The plug-in {path} cannot be read: {reason}.",
            expected="a Python file, or the name of an installed plug-in.",
            remedy="correct the path, wherever it was given: as an argument, by --plugin or by CRYPTO_PLUGINS.",
        ) from error


def _module_file(name: str) -> Path:
    from importlib.metadata import entry_points
    from importlib.util import find_spec

    found = [each for each in entry_points(group=GROUP) if each.name == name]
    spec = find_spec(found[0].module) if found else None
    if spec is None or spec.origin is None:
        installed = ", ".join(sorted(each.name for each in entry_points(group=GROUP))) or "none"
        raise UsageError(
            f"There is no plug-in {name!r}.",
            expected=f"a Python file, or the name of an installed plug-in ({installed}).",
            remedy="correct the name, wherever it was given: as an argument, by --plugin or by CRYPTO_PLUGINS.",
        )
    return Path(spec.origin)


@lru_cache(maxsize=32)
def load(file: PluginFile) -> Plugin:
    """Return what a plug-in declares; its code runs once in each process.

    Raises
    ------
    PluginError
        As `load_anew` does.
    """
    return load_anew(file)


def load_anew(file: PluginFile) -> Plugin:
    """Run the code of a plug-in, and return what it declares.

    Raises
    ------
    PluginError
        If it fails, or has not exactly one `Plugin`.
    """
    module = ModuleType(f"crypto_refactor_plugin_{file.name}_{file.hash}")
    module.__file__ = str(file.path)
    sys.modules[module.__name__] = module  # where dataclasses look for the names of annotations

    def failed(problem: str) -> PluginError:
        return PluginError(
            f"The plug-in {file.path} fails{_where(sys.exception(), file.path)}: {problem}",
            expected="a file that can be imported.",
            remedy="correct the plug-in.",
        )

    with running(failed):
        exec(compile(file.source, str(file.path), "exec"), module.__dict__)  # noqa: S102 - named by the user to be run
    declared = {id(each): each for each in vars(module).values() if isinstance(each, Plugin)}
    if len(declared) != 1:
        raise PluginError(
            f"The plug-in {file.path} has {len(declared) or 'no'} Plugin objects at its top level.",
            expected="one: plugin = Plugin().",
            remedy="correct the plug-in.",
        )
    return next(iter(declared.values()))


def _where(error: BaseException | None, path: Path) -> str:
    """Return the last line of `path` that led to `error`, in words."""
    if isinstance(error, SyntaxError) and error.filename == str(path) and error.lineno:
        return f" at line {error.lineno}"
    line, trace = 0, None if error is None else error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f" at line {line}" if line else ""


def _joined(parts: Iterable[list[Declaration]]) -> list[Declaration]:
    joined: list[Declaration] = []
    for part in parts:
        for declaration in part:
            add_declaration(joined, declaration)
    return joined


def all_indicators(files: Iterable[PluginFile]) -> list[Indicator]:
    """Return the indicators of all `files`, in order; each may raise PluginError as `load` does, or for a taken name."""
    return _joined(load(file).indicators for file in files)


def all_conditions(files: Iterable[PluginFile]) -> list[Condition]:
    """Return the conditions of all `files`, as `all_indicators` does."""
    return _joined(load(file).conditions for file in files)


def all_networks(files: Iterable[PluginFile]) -> list[Network]:
    """Return the networks of all `files`, as `all_indicators` does."""
    return _joined(load(file).networks for file in files)


def all_exits(files: Iterable[PluginFile]) -> list[Exit]:
    """Return the exits of all `files`, as `all_indicators` does."""
    return _joined(load(file).exits for file in files)
