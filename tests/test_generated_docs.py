"""Pages of the documentation that are written from the code, held against the code."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys

import pytest
from support.cli_runner import ROOT

from crypto_refactor.cli.command_table import COMMANDS, load_command

DOCS = ROOT / "docs"
GENERATE = runpy.run_path(str(DOCS / "generate.py"))
PAGES = GENERATE["PAGES"]
SCHEMAS = sorted((DOCS / "schemas").glob("*.json"))


@pytest.mark.parametrize("name", PAGES)
def test_a_written_page_is_what_the_code_says_now(name):
    written = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert written == PAGES[name](), "run `make docs`"


def test_every_option_of_every_command_has_a_row():
    sections = re.split(
        r"^### ", (ROOT / "docs" / "commands.md").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    by_name = {section.split("\n", 1)[0]: section for section in sections[1:]}
    assert sorted(by_name) == sorted(COMMANDS)
    for name, section in by_name.items():
        options = {
            opt for parameter in load_command(name).params for opt in parameter.opts if opt.startswith("--")
        }
        assert {option for option in options if f"| `{option}`" not in section} == set(), name


def test_every_field_and_every_column_has_a_meaning():
    meanings = GENERATE["field_meanings"]()
    assert len(SCHEMAS) > 20
    for path in SCHEMAS:
        said = meanings["common"] | meanings["json"].get(path.stem, {})
        named = [name for name, _ in GENERATE["fields"](path) if "." not in name]
        assert [name for name in named if name not in said] == [], path.stem
    for key, (_, _, columns) in GENERATE["CSV_FILES"].items():
        said = meanings["common"] | meanings["csv"].get(key, {})
        assert [name for name in columns if name not in said] == [], key


def test_every_meaning_belongs_to_a_field_or_a_column():
    meanings = GENERATE["field_meanings"]()
    fields = {path.stem: {name for name, _ in GENERATE["fields"](path)} for path in SCHEMAS}
    columns = {key: set(names) for key, (_, _, names) in GENERATE["CSV_FILES"].items()}
    known = set().union(*fields.values(), *columns.values())
    assert sorted(set(meanings["common"]) - known) == []
    for kind, there in (("json", fields), ("csv", columns)):
        wrong = {key: set(said) - there.get(key, set()) for key, said in meanings[kind].items()}
        assert {key: names for key, names in wrong.items() if names} == {}


def test_the_example_of_a_trade_is_what_the_engine_does():
    page = (DOCS / "backtests.md").read_text(encoding="utf-8")
    rows = runpy.run_path(str(DOCS / "drawings.py"))["example_rows"]()
    assert "\n".join(rows) in page


def test_decisions_are_numbered_and_dated():
    text = (DOCS / "decisions.md").read_text(encoding="utf-8")
    entries = re.findall(r"^## (.*)\n\n(.*)$", text, flags=re.MULTILINE)
    assert [int(title.split(". ", 1)[0]) for title, _ in entries] == list(range(1, len(entries) + 1))
    assert [date for _, date in entries if not re.fullmatch(r"\*\d{4}-\d\d-\d\d\*", date)] == []


def test_pictures_are_drawn_and_shown():
    shown = {
        name
        for page in PAGES_AND_README
        for name in re.findall(r"pictures/([\w.-]+)\)", page.read_text(encoding="utf-8"))
    }
    assert shown == {path.name for path in (DOCS / "pictures").iterdir()}
    fetched = [path.name for path in (DOCS / "pictures").glob("*.svg") if "@font-face" in path.read_text()]
    assert fetched == []


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "sphinx", "--nitpicky", "--fail-on-warning", "--quiet"]
    done = subprocess.run([*command, DOCS, tmp_path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    pages = {path.stem for path in tmp_path.glob("*.html")}
    assert pages >= {path.stem for path in DOCS.glob("*.md")}


PAGES_AND_README = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md")))


def links():
    """Yield the page, the file and the heading of every link between two pages of this project."""
    for page in PAGES_AND_README:
        for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)]*))?\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                yield page, (page.parent / target).resolve() if target else page, anchor


def headings(page):
    """Return the headings of a page as links name them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_link_between_pages_leads_to_a_file_and_a_heading():
    found = list(links())
    assert len(found) > 20
    assert [(page.name, str(goal)) for page, goal, _ in found if not goal.exists()] == []
    known = {page: headings(page) for page in PAGES_AND_README}
    wrong = [
        (page.name, goal.name, anchor)
        for page, goal, anchor in found
        if anchor and anchor not in known.get(goal, {anchor})
    ]
    assert wrong == []
