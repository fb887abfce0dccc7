"""The package has no circle of imports and no folder or module that is too large to read.

`lint-imports` checks the layers.  It looks at the modules and folders of one parent at a time; this test looks at all
modules at once, and counts imports within functions and under `TYPE_CHECKING`, too.
"""

from __future__ import annotations

from collections import Counter
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import grimp
import pytest

import crypto_refactor

PACKAGE = Path(crypto_refactor.__file__).parent
MAX_MODULES, MAX_LINES = 14, 400


UPWARD = ("crypto_refactor.presentation", "crypto_refactor.report.display")
"""The one import that points up, when a method of a result is called: see docs/decisions.md."""


def circle_of(package, *, without=None):
    """Return the modules of one circle of imports, none if there is no circle; `without` an arrow that is known."""
    graph = grimp.build_graph(package, exclude_type_checking_imports=False, cache_dir=None)
    if without is not None:
        importer, imported = without
        graph.remove_import(importer=importer, imported=imported)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def test_no_circle_of_imports():
    assert circle_of("crypto_refactor", without=UPWARD) == []


def test_the_one_arrow_that_points_up_is_the_one_that_is_allowed():
    assert set(UPWARD) <= set(circle_of("crypto_refactor"))
    graph = grimp.build_graph("crypto_refactor", exclude_type_checking_imports=False, cache_dir=None)
    assert graph.find_modules_that_directly_import(UPWARD[1]) == {UPWARD[0]}
    assert graph.find_modules_directly_imported_by(UPWARD[0]) == {UPWARD[1]}


@pytest.mark.parametrize(
    "back",
    [
        "from planted import upper",
        "def late():\n    from planted.upper import x",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import planted.upper",
    ],
)
def test_a_planted_circle_is_seen(tmp_path, monkeypatch, back):
    folder = tmp_path / "planted"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "upper.py").write_text("import planted.middle\nx = 1\n")
    (folder / "middle.py").write_text("def late():\n    import planted.lower\n")
    (folder / "lower.py").write_text(back)
    monkeypatch.syspath_prepend(tmp_path)
    assert set(circle_of("planted")) == {"planted.upper", "planted.middle", "planted.lower"}


def test_every_door_opens():
    for package in ("crypto_refactor", *packages()):
        room = import_module(package)
        for name in getattr(room, "__all__", ()):
            assert hasattr(room, name) or import_module(f"{package}.{name}"), f"{package}.{name}"
        assert not hasattr(room, "nothing_of_this_name")


def packages():
    return [
        found.name for found in walk_packages(crypto_refactor.__path__, "crypto_refactor.") if found.ispkg
    ]


def test_folders_and_modules_stay_readable():
    modules = list(PACKAGE.rglob("*.py"))
    folders = Counter(path.parent for path in modules if path.name != "__init__.py")
    assert {str(folder): count for folder, count in folders.items() if count > MAX_MODULES} == {}
    lines = {str(path): path.read_text(encoding="utf-8").count("\n") for path in modules}
    assert {path: count for path, count in lines.items() if count > MAX_LINES} == {}
