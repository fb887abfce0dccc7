"""Whatever a file holds, it becomes bars or an error of three parts, within a bounded memory."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import subprocess
import sys
import zipfile

import pytest
from support.cli_runner import ROOT

from crypto_refactor.errors import CryptoRefactorError, DataError
from crypto_refactor.market.conversion import Reading
from crypto_refactor.market.conversion.converter import read_foreign
from crypto_refactor.market.ticker import Ticker

BTC = Ticker("BTC", "USD")
PLAIN = "timestamp,open,high,low,close,volume"
ROW = "2024-01-01T0{}:00:00Z,1,1,1,1,1"


@pytest.fixture
def read(tmp_path):
    def at(content):
        path = tmp_path / "file"
        path.write_bytes(content)
        return read_foreign(path, BTC, Reading())

    return at


def error_of(read, content):
    try:
        read(content)
    except CryptoRefactorError as error:
        return error
    return None


def zipped(members):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def plain(*rows):
    return "\n".join([PLAIN, *rows, ""]).encode()


GOOD = plain(*(ROW.format(hour) for hour in range(4)))
REFUSED = {
    "nothing": (b"", "it is empty"),
    "a header alone": (plain(), "no rows"),
    "one line of prose": (b"once upon a time\n", "none of its first lines"),
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "no text"),
    "an Excel file": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 99, "a file of Excel"),
    "parquet": (b"PAR1" + b"\0" * 99, "a file of parquet"),
    "xz": (b"\xfd7zXZ\0" + b"\0" * 99, "a file of xz"),
    "other bytes": (GOOD.replace(b"1\n", b"\xe9\n"), "not UTF-8"),
    "a quote that never ends": (plain('"2024-01-01T00:00Z,1,1,1,1,1'), "cannot be read"),
    "a row too long": (GOOD.replace(b"T02:00:00Z", b"T02:00:00Z,7"), "line 4 has another number of cells"),
    "a row far too long": (GOOD.replace(b"T02:00:00Z", b"T02:00:00Z,7,7,7"), "cannot be read"),
    "every row too long": (GOOD.replace(b"Z,1", b"Z,7,7,1"), "cannot be read"),
    "a missing cell": (GOOD.replace(b"02:00:00Z,1", b"02:00:00Z"), "'' as volume"),
    "a word for a price": (GOOD.replace(b"02:00:00Z,1", b"02:00:00Z,one"), "'one' as open"),
    "nan": (GOOD.replace(b"02:00:00Z,1", b"02:00:00Z,nan"), "'nan' as open"),
    "infinity": (GOOD.replace(b"02:00:00Z,1", b"02:00:00Z,1e999"), "row 3 is not a bar"),
    "digits of another script": (GOOD.replace(b"02:00:00Z,1", "02:00:00Z,١".encode()), "as open"),
    "a stamp that is none": (GOOD.replace(b"2024-01-01T02", b"2024-13-01T02"), "row 3: the stamp"),
    "an hour that is none": (GOOD.replace(b"T02", b"T25"), "row 3: the stamp"),
    "before 1973": (plain("99999999,1,1,1,1,1", "99999999,1,1,1,1,1"), "stamp"),
    "one bar": (plain(ROW.format(0)), "one bar, which does not say"),
    "one bar, twice": (plain(ROW.format(0), ROW.format(0)), "one bar, which does not say"),
    "nineteen digits": (plain("9" * 19 + ",1,1,1,1,1", "9" * 18 + ",1,1,1,1,1"), "holds bars of"),
    "a count beyond all": (plain("9e99,1,1,1,1,1", "1704067200,1,1,1,1,1"), "holds bars of"),
    "the year 1": (plain(*(f"0001-01-01 0{hour}:30:00,1,1,1,1,1" for hour in range(3))), "row 1: the stamp"),
    "the year 9999": (
        plain(*(f"9999-12-31 2{hour}:30:00,1,1,1,1,1" for hour in range(3))),
        "row 1: the stamp",
    ),
    "some stamps with an offset": (GOOD.replace(b"02:00:00Z", b"02:00:00"), "row 3: the stamp"),
    "a stamp between two hours": (GOOD.replace(b"T02:00", b"T02:30"), "holds bars|between two hours"),
    "no volume": (b"time,open,high,low,close\n1,1,1,1,1\n", "no column of the volume"),
    "two closes": ((PLAIN + ",Close\n").encode() + b"1,1,1,1,1,1,1\n", "2 columns close"),
    "broken gzip": (gzip.compress(GOOD)[:-12], "damaged"),
    "gzip of noise": (b"\x1f\x8b\x08\0" + b"\xaa" * 50, "damaged"),
    "broken zip": (zipped({"a.csv": GOOD})[:-30], "damaged"),
    "a zip of two": (zipped({"a.csv": GOOD, "b.csv": GOOD}), "2 files of bars"),
    "a zip of none": (zipped({"a.png": GOOD}), "0 files of bars"),
    "JSON cut off": (b"[[1,2,3", "no JSON"),
    "JSON of nothing": (b"{}", "no list of bars"),
    "JSON of uneven rows": (b"[[1704067200000,1,1,1,1,1],[1]]", "not a list of 6 values"),
    "JSON of deep lists": (b"[" * 100_000, "no JSON"),
    "JSON of lists in lists": (b"[[[1],1,1,1,1,1]]", "a value of one of its bars"),
    "JSON with a null": (b"[[1704067200000,null,1,1,1,1],[1704070800000,1,1,1,1,1]]", "as open"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_file_of_bars_is_refused_in_three_parts(read, name):
    content, said = REFUSED[name]
    with pytest.raises(DataError, match=said) as caught:
        read(content)
    assert caught.value.expected.endswith(".")
    assert caught.value.remedy.endswith(".")


@pytest.mark.parametrize("kind", ["missing", "a folder", "a device"])
def test_what_is_no_file_at_all_is_refused(tmp_path, kind):
    path = {"missing": tmp_path / "none", "a folder": tmp_path, "a device": "/dev/zero"}[kind]
    with pytest.raises(DataError, match="cannot be converted"):
        read_foreign(type(tmp_path)(path), BTC, Reading())


def test_a_small_archive_of_huge_content_is_refused_within_a_bounded_memory(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.csv", "w") as member:
        member.write(PLAIN.encode() + b"\n")
        for _ in range(300):
            member.write(b"1" * 2**20)
    script = (
        "import sys, resource; from pathlib import Path\n"
        "from crypto_refactor.market.conversion import Reading\n"
        "from crypto_refactor.market.conversion.converter import read_foreign\n"
        "from crypto_refactor.market.ticker import Ticker\n"
        f"resource.setrlimit(resource.RLIMIT_DATA, ({3 * 2**30}, {3 * 2**30}))\n"
        "try:\n    read_foreign(Path(sys.argv[1]), Ticker('BTC', 'USD'), Reading())\n"
        "finally:\n    print(*(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, path], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "holds more than 128 MiB" in done.stderr
    assert int(done.stdout) < 2**20  # kilobytes


def test_a_long_file_of_minutes_is_refused_by_its_first_rows(tmp_path, monkeypatch):
    path = tmp_path / "minutes.csv"
    path.write_text("".join(f"{1704067200 + 60 * at},1,1,1,1,1,7\n" for at in range(30_000)))
    asked = []
    from crypto_refactor.market.conversion import converter

    monkeypatch.setattr(
        converter,
        "read_raw",
        lambda path, *, rows, real=converter.read_raw: asked.append(rows) or real(path, rows=rows),
    )
    with pytest.raises(DataError, match="bars of 1 minute"):
        read_foreign(path, BTC, Reading())
    assert max(asked) < 30_000


def test_more_rows_than_hours_have_passed_are_refused(read, monkeypatch):
    monkeypatch.setattr("crypto_refactor.market.conversion.raw_table.MAX_ROWS", 3)
    rows = [[1704067200000 + 3_600_000 * at, 1, 1, 1, 1, 1] for at in range(4)]
    for content in (GOOD, json.dumps(rows).encode()):
        with pytest.raises(DataError, match="more than 3 rows"):
            read(content)


INSERTS = [
    b"",
    b",",
    b";",
    b'"',
    b"\n",
    b"\r",
    b"\0",
    b"\xff",
    b"-",
    b".",
    b"e",
    b"9" * 30,
    b"nan",
    b"[",
    b"]",
    b"{",
]
INSERTS += [
    b"null",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"AM",
    b"+99:99",
    b"Z",
    b"0000-00-00",
    b"1e400",
    b" ",
    b"\t",
    b"#",
]


@pytest.mark.parametrize("seed", range(4))
def test_damage_becomes_bars_or_an_error_of_the_tool(read, seed):
    chance = random.Random(seed)
    rows = [[1704067200000 + 3_600_000 * at, 1.5, 2.5, 1.25, 2.0, 3.0] for at in range(4)]
    german = GOOD.replace(b",", b";").replace(b"1;", b"1,5;")
    for _ in range(60):
        content = chance.choice(
            [GOOD, german, json.dumps(rows).encode(), gzip.compress(GOOD), zipped({"a.csv": GOOD})]
        )
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(content) + 1)
            content = content[:at] + chance.choice(INSERTS) + content[at + chance.choice([0, 1, 2, 9]) :]
        error = error_of(read, content)
        assert error is None or (error.expected and error.remedy)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions do not bind this user")
def test_a_file_without_permission_is_refused(read, tmp_path):
    (tmp_path / "file").write_bytes(GOOD)
    (tmp_path / "file").chmod(0)
    with pytest.raises(DataError, match="cannot be read"):
        read_foreign(tmp_path / "file", BTC, Reading())
