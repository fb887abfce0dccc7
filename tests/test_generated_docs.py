"""Pages of the documentation that are written from the code, held against the code."""

from __future__ import annotations

import re
import runpy

import pytest
from support.cli_runner import ROOT

from crypto_refactor.cli.command_table import COMMANDS, load_command

PAGES = runpy.run_path(str(ROOT / "docs" / "generate.py"))["PAGES"]


@pytest.mark.parametrize("name", PAGES)
def test_a_written_page_is_what_the_code_says_now(name):
    written = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert written == PAGES[name](), "run `python docs/generate.py`"


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


PAGES_AND_README = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))


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
