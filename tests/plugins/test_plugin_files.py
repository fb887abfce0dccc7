"""Which files are plug-ins, and what is said of those that are none."""

from __future__ import annotations

import sys

import pytest
from support.plugin_files import EXAMPLE, HEAD, written

from crypto_refactor.errors import PluginError, UsageError
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.plugins import load, read_plugins

CONSTANT = """
@plugin.indicator(warmup=0)
def constant(bars):
    return np.ones(len(bars))
"""


def test_it_is_known_by_its_name_and_the_hash_of_its_content(tmp_path):
    (first,) = read_plugins(written(tmp_path, CONSTANT))
    (second,) = read_plugins(written(tmp_path, CONSTANT + "# another remark\n"))
    assert first.name == second.name == "idea"
    assert first.hash != second.hash
    assert first.to_dict() == {"name": "idea", "hash": first.hash}


def test_it_runs_as_it_was_read(tmp_path):
    path = written(tmp_path, CONSTANT)
    (file,) = read_plugins(path)
    path.write_text("raise SystemExit", encoding="utf-8")
    assert [each.name for each in load(file).indicators] == ["constant"]


def test_it_runs_once_in_a_process(tmp_path):
    (file,) = read_plugins(written(tmp_path, CONSTANT))
    assert load(file) is load(file)


def test_what_is_named_twice_counts_once(tmp_path):
    path = written(tmp_path, CONSTANT)
    assert len(read_plugins([path, str(path)])) == 1


def test_two_of_one_name_are_refused(tmp_path):
    (tmp_path / "other").mkdir()
    paths = [written(tmp_path, CONSTANT), written(tmp_path / "other", CONSTANT + "# another\n")]
    with pytest.raises(UsageError, match="Two plug-ins are called 'idea'"):
        read_plugins(paths)


@pytest.mark.parametrize("given", ["missing.py", "never_installed"])
def test_one_that_is_not_there_is_refused(tmp_path, given):
    with pytest.raises(UsageError) as caught:
        read_plugins(tmp_path / given if given.endswith(".py") else given)
    assert given.removesuffix(".py") in caught.value.what


def test_a_folder_is_no_plugin(tmp_path):
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        read_plugins(tmp_path)


def test_what_is_not_utf_8_is_refused(tmp_path):
    path = tmp_path / "idea.py"
    path.write_bytes(b"# \xff\n")
    with pytest.raises(UsageError, match="it is not UTF-8"):
        read_plugins(path)


def test_an_installed_one_is_found_by_its_name(tmp_path, monkeypatch):
    """As pip leaves it: a module, and metadata with an entry point."""
    (tmp_path / "my_ideas.py").write_text(HEAD + CONSTANT, encoding="utf-8")
    metadata = tmp_path / "my_ideas-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: my-ideas\nVersion: 1.0\n", encoding="utf-8"
    )
    (metadata / "entry_points.txt").write_text(
        "[crypto_refactor.plugins]\nideas = my_ideas\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    (file,) = read_plugins("ideas")
    assert file.name == "ideas"
    assert [each.name for each in load(file).indicators] == ["constant"]
    assert "my_ideas" not in sys.modules


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("x = 1\nimport not_a_module\n", 2, "ModuleNotFoundError: No module named 'not_a_module'"),
        ("def broken(:\n", 1, "SyntaxError"),
        ("import sys\nsys.exit(0)\n", 2, "SystemExit: 0"),
        ("def fails():\n    return 1 / 0\n\nfails()\n", 2, "ZeroDivisionError"),
    ],
)
def test_one_that_fails_is_named_with_its_line(tmp_path, text, line, said):
    path = tmp_path / "idea.py"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PluginError) as caught:
        load(*read_plugins(path))
    assert f"{path} fails at line {line}: {said}" in caught.value.what


@pytest.mark.parametrize(("text", "count"), [("x = 1\n", "no"), (HEAD + "other = Plugin()\n", "2")])
def test_it_has_one_plugin_object(tmp_path, text, count):
    path = tmp_path / "idea.py"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PluginError, match=f"has {count} Plugin objects"):
        load(*read_plugins(path))


@pytest.mark.parametrize("name", ["cci", "cci_side", "gru", "rsi_extreme"])
def test_a_name_that_was_declared_is_refused_again(tmp_path, name):
    again = EXAMPLE.read_text(encoding="utf-8").replace(f"def {name}(", f"def {name}_first(", 1)
    with_names = {
        "cci": "@plugin.indicator(warmup=0, name='cci_first')\ndef more(bars): ...\n",
        "cci_side": "@plugin.condition(long='', short='', name='cci_side_first')\ndef more(values): ...\n",
        "gru": "@plugin.network(name='gru_first')\ndef more(keras, x, recipe): ...\n",
        "rsi_extreme": "@plugin.exit(name='rsi_extreme_first')\ndef more(values): ...\n",
    }
    path = tmp_path / "idea.py"
    path.write_text(again + with_names[name], encoding="utf-8")
    with pytest.raises(PluginError) as caught:
        load(*read_plugins(path))
    line = again.count("\n") + 1
    assert f"{path}, line {line}, {name}_first: the name '{name}_first' is taken" in caught.value.what


@pytest.mark.parametrize("name", ["", "CCI", "my cci", "1st", "naïve"])
def test_what_is_no_name_is_refused(tmp_path, name):
    path = written(tmp_path, f"@plugin.network(name={name!r} or ' ')\ndef build(keras, x, recipe): ...\n")
    with pytest.raises(PluginError, match="is no name"):
        load(*read_plugins(path))


@pytest.mark.parametrize("warmup", [-1, 501])
def test_a_warm_up_lies_within_that_of_every_series(tmp_path, warmup):
    path = written(tmp_path, f"@plugin.indicator(warmup={warmup})\ndef value(bars): ...\n")
    with pytest.raises(PluginError, match=f"its warm-up is {warmup}"):
        load(*read_plugins(path))


def test_what_is_no_function_is_refused(tmp_path):
    with pytest.raises(PluginError, match="A partial was declared"):
        load(
            *read_plugins(written(tmp_path, "import functools\nplugin.network()(functools.partial(print))\n"))
        )


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("indicator", "@plugin.indicator(warmup=0)\ndef rsi(bars): ..."),
        ("indicator", "@plugin.indicator(warmup=0)\ndef close(bars): ..."),
        ("condition", "@plugin.condition(long='', short='')\ndef adx(values): ..."),
        ("network", "@plugin.network()\ndef small(keras, x, recipe): ..."),
        ("exit", "@plugin.exit()\ndef fade(values): ..."),
    ],
)
def test_the_name_of_a_built_in_one_is_taken(tmp_path, kind, body):
    from crypto_refactor.backtest.choices import OptionObjects

    path = written(tmp_path, body + "\n")
    with pytest.raises(PluginError, match=f"is the name of a built-in {kind}"):
        OptionObjects.of(None, None, None, {"plugins": [path]})


def test_two_plugins_share_no_name(tmp_path):
    paths = [written(tmp_path, CONSTANT, name) for name in ("first", "second")]
    with pytest.raises(PluginError, match=r"the name 'constant' is taken, in .*first\.py, line 8"):
        ModelSettings(plugins=paths)


def test_a_dataclass_finds_its_module(tmp_path):
    path = tmp_path / "idea.py"
    body = "from dataclasses import dataclass\n\n@dataclass\nclass Span:\n    hours: int\n"
    path.write_text("from __future__ import annotations\n" + body + HEAD + CONSTANT, encoding="utf-8")
    assert len(load(*read_plugins(path)).indicators) == 1


@pytest.mark.parametrize("given", [3, None, [3]])
def test_what_is_no_path_is_refused(given):
    with pytest.raises(UsageError, match="plugins is"):
        ModelSettings(plugins=given)


@pytest.mark.parametrize(
    "decorator",
    [
        "indicator(warmup=2.5)",
        "indicator(warmup='2')",
        "indicator(warmup=2, source=3)",
        "condition(long=3, short='')",
    ],
)
def test_what_a_decorator_cannot_take_is_named(tmp_path, decorator):
    path = written(tmp_path, f"@plugin.{decorator}\ndef mine(bars): ...\n")
    with pytest.raises(PluginError, match=r"idea\.py, line 7, mine: "):
        load(*read_plugins(path))
