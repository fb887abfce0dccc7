"""What a package index gets: a wheel and an sdist that work where nothing else of the project is."""

from __future__ import annotations

import json
import re
import sys
import tarfile
import tomllib
from email import message_from_bytes
from zipfile import ZipFile

import pytest
from support.cli_runner import ROOT
from support.packages import build, install, run

from crypto_refactor.version import __version__

sys.path.insert(0, str(ROOT))
try:
    from hatch_build import description
finally:
    sys.path.remove(str(ROOT))

README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_description_names_files_where_the_readme_links_to_them():
    assert description("See [signals](docs/signals.md) and [x](https://x.example).\n").startswith(
        "See signals (`docs/signals.md`) and [x](https://x.example).\n"
    )
    assert description(
        "![a picture](docs/a.svg)\n\nText of [FILE.md](FILE.md), [below](#there).\n"
    ).startswith("Text of FILE.md, [below](#there).\n")


def test_no_link_of_the_description_leads_nowhere():
    assert re.findall(r"\]\((?!https?:|#)", README), "without one this test tells nothing"
    assert re.findall(r"\]\((?!https?:|#)", description(README)) == []


def test_the_python_versions_are_tried_ones():
    listed = {each.rsplit(" ", 1)[1] for each in PROJECT["project"]["classifiers"] if ":: 3." in each}
    assert listed == {"3.11", "3.12", "3.13"}
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in listed


def test_the_dev_container_makes_what_it_starts():
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    words = container["postCreateCommand"].split()
    assert words[0] == "make"
    assert f"\n{words[1]}:" in (ROOT / "Makefile").read_text(encoding="utf-8")
    assert container["image"].split(":")[1].startswith("3.11")


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    return build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home for both installations: the models of the first demo serve the second one."""
    return tmp_path_factory.mktemp("home")


@pytest.mark.slow
def test_both_carry_the_description_and_the_sdist_what_it_names(archives):
    with ZipFile(archives["wheel"]) as wheel:
        (name,) = [name for name in wheel.namelist() if name.endswith("/METADATA")]
        metadata = message_from_bytes(wheel.read(name))
        assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())
    assert metadata["Description-Content-Type"] == "text/markdown"
    # Read as ASCII, as the headers of a mail are.
    body = metadata.get_payload(decode=True).decode()
    assert body.strip() == description(README).strip()
    with tarfile.open(archives["sdist"]) as sdist:
        packed = {name.partition("/")[2] for name in sdist.getnames()}
    named = re.findall(r"\]\((?!https?:|#)([^)#]+)", README)
    assert set(named) - packed == set()
    assert {"tests/test_packaging.py", "Makefile", "tickers.txt", "hatch_build.py"} <= packed


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_it_works_in_an_environment_where_nothing_else_is(archives, kind, tmp_path, home):
    python = install(archives[kind], tmp_path / "environment")
    program = python.parent / "crypto-refactor"
    assert run([program, "--version"], home).stdout.strip().endswith(__version__)
    assert "_CRYPTO_REFACTOR_COMPLETE" in run([program, "completion", "bash"], home).stdout
    asked = {
        "_CRYPTO_REFACTOR_COMPLETE": "bash_complete",
        "COMP_WORDS": "crypto-refactor sig",
        "COMP_CWORD": "1",
    }
    assert run([program], home, **asked).stdout.strip() == "plain,signal"
    demo = run([program, "demo"], home, KERAS_BACKEND="tensorflow")
    assert demo.stdout.startswith("Everything below is SIMULATED")
    assert "models/app_" not in demo.stdout
    assert demo.stdout.rstrip().endswith("crypto-refactor signal --ticker BTC/USD --hours 240")
    assert (home / ".local" / "share" / "crypto-refactor" / "models").is_dir()
