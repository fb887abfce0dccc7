from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from support.chromium import Chromium, binary
from support.example_results import backtested, evaluated

from crypto_refactor.report.html.page import evaluation_html, report_html

pytestmark = pytest.mark.skipif(
    binary() is None, reason="no Chromium evaluation (Debian: apt install chromium)"
)

CELLS = "[...document.querySelectorAll('#trade-list tbody tr')].map((row) => Number(row.cells[{column}].textContent.replaceAll(',', '')))"
HEAD = "document.querySelectorAll('#trade-list thead th')[{column}]"
NET = 8


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    result, audit = backtested(tmp_path_factory.mktemp("models"))
    path = tmp_path_factory.mktemp("report") / "a report & <more>.html"
    path.write_text(
        report_html(replace(result, audit=audit), command="python3 x", tz=ZoneInfo("UTC")), encoding="utf-8"
    )
    return path


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    folder = tmp_path_factory.mktemp("targets")
    evaluation = evaluated(folder / f"{'a_long_name_without_a_space_' * 4} & <more>.csv")
    path = folder / "targets.html"
    markup = evaluation_html(evaluation, command="crypto-refactor evaluate", tz=ZoneInfo("UTC"))
    path.write_text(markup, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with Chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def page(chromium, report):
    chromium.events.clear()
    chromium.show(width=1280)
    chromium.open(report)
    return chromium


def background(page):
    return page.ask("getComputedStyle(document.body).backgroundColor")


def line_color(page):
    return page.ask("document.querySelector('#chart-equity .scatterlayer .js-line').style.stroke")


def test_all_charts_are_drawn_and_nothing_is_complained_of_or_asked_for(page, report):
    assert page.ask("document.documentElement.dataset.drawn") == "7"
    drawn = page.ask(
        "[...document.querySelectorAll('.chart')].map((c) => c.querySelectorAll('svg.main-svg').length)"
    )
    assert len(drawn) == 7
    assert all(drawn)
    assert page.ask("document.querySelectorAll('.chart .scatterlayer .js-line').length") >= 9
    assert page.complaints() == []
    assert page.requests() == [report.resolve().as_uri()]


def test_a_complaint_and_a_request_would_be_seen(page):
    page.ask("console.error('planted'); fetch('http://127.0.0.1:9/').catch(() => 0)")
    page.wait("true")
    assert len(page.complaints()) >= 2
    assert "Content Security Policy" in str(page.complaints())


def test_the_page_of_foreign_targets_draws_its_charts_without_a_complaint(chromium, foreign):
    chromium.events.clear()
    chromium.show(width=1280)
    chromium.open(foreign)
    assert chromium.ask("document.documentElement.dataset.drawn") == "4"
    drawn = chromium.ask(
        "[...document.querySelectorAll('.chart')].map((c) => c.querySelectorAll('svg.main-svg').length)"
    )
    assert len(drawn) == 4
    assert all(drawn)
    assert chromium.ask("document.querySelectorAll('#chart-price .scatterlayer .points path').length") > 10
    assert chromium.ask("document.getElementById('targets').textContent.includes('& <more>.csv')")
    assert chromium.complaints() == []
    assert chromium.requests() == [foreign.resolve().as_uri()]


def test_an_entry_of_foreign_targets_names_its_row_under_the_pointer(chromium, foreign):
    chromium.show(width=1280)
    chromium.open(foreign)
    assert "line 2 of the file" in hovered(chromium, "Long entry")


@pytest.mark.slow
@pytest.mark.parametrize("which", ["report", "foreign"])
@pytest.mark.parametrize("phone", [False, True])
def test_the_page_never_scrolls_sideways(chromium, request, which, phone):
    chromium.show(width=390 if phone else 1280, height=844, phone=phone)
    chromium.open(request.getfixturevalue(which))
    assert chromium.ask("document.documentElement.scrollWidth <= innerWidth")
    assert chromium.ask(
        "[...document.querySelectorAll('.chart svg.main-svg')].every((s) => s.clientWidth <= innerWidth)"
    )


def test_trades_sort_by_a_click_and_back_by_another(page):
    column = HEAD.format(column=NET)
    before = page.ask(CELLS.format(column=NET))
    page.ask(f"{column}.firstElementChild.click()")
    assert page.ask(f"{column}.ariaSort") == "ascending"
    assert page.ask(CELLS.format(column=NET)) == sorted(before) != before
    page.ask(f"{column}.firstElementChild.click()")
    assert page.ask(f"{column}.ariaSort") == "descending"
    assert page.ask(CELLS.format(column=NET)) == sorted(before, reverse=True)


def test_trades_sort_from_the_keyboard(page):
    before = page.ask(CELLS.format(column=NET))
    page.ask(f"{HEAD.format(column=NET)}.firstElementChild.focus()")
    page.press("Enter", "Enter", "\r")
    assert page.ask(CELLS.format(column=NET)) == sorted(before)


def hovered(page, trace):
    """Return what the first marker of a trace says under the pointer."""
    page.ask(
        "document.documentElement.style.scrollBehavior = 'auto'; document.getElementById('price').scrollIntoView()"
    )
    place = """(() => {
        const chart = document.getElementById('chart-price'), names = chart._fullData.map((each) => each.name);
        const uid = chart._fullData[names.indexOf({trace!r})].uid;
        const box = chart.querySelector(`.cartesianlayer .trace${uid} .points path`).getBoundingClientRect();
        return [box.x + box.width / 2, box.y + box.height / 2];
    })()""".replace("{trace!r}", repr(trace))
    x, y = page.ask(place)
    page.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    page.wait("document.querySelector('#chart-price .hoverlayer').textContent !== ''")
    return page.ask("document.querySelector('#chart-price .hoverlayer').textContent")


@pytest.mark.parametrize(("trace", "word"), [("Long entry", "confirmations"), ("Exit with a loss", "held")])
def test_a_marker_under_the_pointer_says_why(page, trace, word):
    assert word in hovered(page, trace)


def test_the_equity_axis_can_be_logarithmic(page):
    page.ask("document.querySelector('[data-type=log]').click()")
    page.wait("document.getElementById('chart-equity')._fullLayout.yaxis.type === 'log'")
    assert page.ask("document.querySelector('[data-type=log]').ariaPressed") == "true"
    assert page.complaints() == []


@pytest.mark.slow
def test_night_follows_the_system_and_the_button_overrules_it(chromium, report):
    chromium.events.clear()
    chromium.show(width=1280, dark=True)
    chromium.open(report)
    dark = background(chromium), line_color(chromium)
    chromium.ask("document.getElementById('theme').click()")
    chromium.drawn()
    light = background(chromium), line_color(chromium)
    assert not set(dark) & set(light)
    chromium.show(width=1280)
    chromium.open(report)
    assert (background(chromium), line_color(chromium)) == light
    assert chromium.complaints() == []


@pytest.mark.slow
@pytest.mark.parametrize("which", ["report", "foreign"])
def test_paper_holds_every_column_and_no_controls(chromium, request, which):
    chromium.show(width=1100)
    chromium.open(request.getfixturevalue(which))
    pages, text = chromium.printed()
    assert pages <= 8
    for word in ("Net,", "Return", "Held", "Exit reason"):
        assert word in text
    for control in ("Dark or light", "Logarithmic", "1 week", "Hover over", "Click a header"):
        assert control not in text
