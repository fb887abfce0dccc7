"""A report read as a browser would read it, and names that try to become more than text."""

from __future__ import annotations

import base64
import gzip
import html
import json
import re
import shlex
from functools import cache
from html.parser import HTMLParser

import plotly.graph_objects
from plotly.offline import get_plotlyjs

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&<!--"


class Hostile:
    base, quote, slug = HOSTILE, HOSTILE, "hostile"

    def __str__(self):
        return HOSTILE


class Page(HTMLParser):
    """What a browser would make of a page: its tags, the text of its sections, its scripts."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts, self.sections, self.ids = [], [], {}, []
        self._section, self._in_script = None, False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append((tag, given))
        self.ids += [given["id"]] if "id" in given else []
        if tag == "script":
            self.scripts.append("")
            self._in_script = True
        if tag == "section":
            self._section = given["id"]
            self.sections[self._section] = ""

    def handle_endtag(self, tag):
        self._in_script = self._in_script and tag != "script"
        self._section = None if tag == "section" else self._section

    def handle_data(self, data):
        if self._in_script:
            self.scripts[-1] += data
        elif self._section:
            self.sections[self._section] += data


def compact(text):
    """Return markup without the white space between its tags."""
    return re.sub(r">\s+<", "><", text)


def unpacked(text):
    """Return what `packing.packed` was given."""
    return gzip.decompress(base64.b85decode(text.replace(",", "<"))).decode()


def packed_script(markup, name):
    """Return the packed script element of this name, unpacked."""
    (content,) = re.findall(rf'<script type="text/plain" id="{name}">(.*?)</script>', markup, flags=re.DOTALL)
    return unpacked(content)


@cache
def _is_plotly(content):
    return unpacked(content) == get_plotlyjs()


def without_plotly(text):
    """Return a page without plotly, and with the data of its charts as they were before they were packed."""
    (content,) = re.findall(r'<script type="text/plain" id="plotly">(.*?)</script>', text, flags=re.DOTALL)
    assert _is_plotly(content)
    (data,) = re.findall(r'<script type="text/plain" id="charts">(.*?)</script>', text, flags=re.DOTALL)
    return text.replace(content, "").replace(data, unpacked(data).replace("<", "\\u003c"))


def charts_of(text):
    document = json.loads(packed_script(text, "charts"))
    return {chart["name"]: chart for chart in document["charts"]}, document["columns"]


def repeated(text):
    """Return the command a page gives to make it again, word by word."""
    (command,) = re.findall(r'<pre class="command" tabindex="0"><code>(.*?)</code></pre>', text)
    return shlex.split(html.unescape(command))


def loads_nothing(text):
    """Insist that a page asks for nothing, and forbids itself to."""
    page = Page(without_plotly(text))
    for name, given in page.tags:
        assert name not in {"link", "img", "iframe", "object", "embed", "base", "form", "audio", "video"}
        assert not {"src", "srcset", "action", "data", "poster", "background"} & set(given)
        assert given.get("href", "#").startswith("#")
    own = without_plotly(text)
    assert "://" not in own
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|import\(", own)
    policy = next(given["content"] for name, given in page.tags if given.get("http-equiv"))
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy


def every_link_leads_somewhere(text):
    """Insist that no name stands twice and every link has its own."""
    page = Page(without_plotly(text))
    assert len(page.ids) == len(set(page.ids))
    links = [given["href"][1:] for name, given in page.tags if name == "a"]
    assert links
    assert set(links) <= set(page.ids)


def drawn_by_plotly(charts, columns):
    """Insist that plotly understands every chart."""

    def plain(value):
        if isinstance(value, str):
            return columns[value[1:]] if value.startswith("@") else re.sub(r"^var\(.*\)$", "#123456", value)
        if isinstance(value, list):
            return [plain(item) for item in value]
        return {key: plain(item) for key, item in value.items()} if isinstance(value, dict) else value

    for chart in charts:
        plotly.graph_objects.Figure(data=plain(chart["data"]), layout=plain(chart["layout"]))
