from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_refactor.price_text import exact_text, price_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (63120.45, "63,120.45"),
        (1_234_567_890.5, "1,234,567,890.50"),
        (100, "100.00"),
        (71.2, "71.200"),
        (0.38512, "0.38512"),
        (0.000008765432, "0.0000087654"),
        (4e-13, "0.00000000000040000"),
        (-4.12345e-13, "-0.00000000000041234"),
        (4e-20, "4.0000e-20"),
        (0.0, "0"),
    ],
)
def test_a_price_has_five_significant_digits_at_any_size(value, text):
    assert price_text(value) == text


@given(st.floats(1e-30, 1e12))
def test_no_digit_of_the_first_five_is_lost(value):
    text = price_text(value)
    digits = re.sub(r"e.*", "", text).replace(",", "").replace(".", "").lstrip("0")
    assert len(digits) >= 5
    assert float(text.replace(",", "")) == pytest.approx(value, rel=1e-4)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (42283.58, "42,283.58"),
        (100.0, "100"),
        (3.1234567, "3.1234567"),
        (0, "0"),
        (4e-13, "0.00000000000040000"),
        (1_234_567_890.5, "1,234,567,890.50"),
    ],
)
def test_bars_are_shown_as_a_file_has_them_but_never_with_an_exponent(value, text):
    assert exact_text(value) == text
