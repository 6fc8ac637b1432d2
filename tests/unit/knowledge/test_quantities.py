"""Kubernetes quantities: the same amounts, and the same spelling, as the API server's."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sretool.knowledge.quantities import NANO, canonical_quantity, parse_quantity, write_binary, write_decimal


# The pairs are what kube-apiserver 1.34 stores in `hard` of a ResourceQuota for the text on the left.
@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0", "0"),
        ("0Gi", "0"),
        ("1000m", "1"),
        ("0.5", "500m"),
        (".5", "500m"),
        ("5.", "5"),
        ("1500m", "1500m"),
        ("2000k", "2M"),
        ("1024Mi", "1Gi"),
        ("1000Mi", "1000Mi"),
        ("1.5Gi", "1536Mi"),
        ("0.5Ki", "512"),
        ("0.5Mi", "512Ki"),
        ("1.0001Ki", "1024103m"),
        ("1.0000000001", "1001m"),
        ("0.1m", "1m"),
        ("100u", "1m"),
        ("1e3", "1e3"),
        ("1e2", "100"),
        ("12E6", "12e6"),
        ("1E", "1E"),
        ("0.1n", "1m"),
        ("+3", "3"),
    ],
)
def test_a_quantity_is_written_as_the_api_server_stores_it(text, canonical):
    assert canonical_quantity(text) == canonical
    assert canonical_quantity(canonical) == canonical
    assert 0 <= parse_quantity(canonical) - parse_quantity(text) < NANO // 1000


@pytest.mark.parametrize(
    "text",
    ["", ".", "m", "1 Gi", "1gi", "1GI", "1KiB", "1e", "1e999", "0x10", "1,5", "1E3Gi", "--1", "9" * 33],
)
def test_what_is_no_quantity_is_an_error(text):
    with pytest.raises(ValueError, match="is not a quantity"):
        parse_quantity(text)


@pytest.mark.parametrize("text", ["10E", "8Ei", "1e19", "9223372036854775808", "9" * 25])
def test_what_a_quantity_cannot_hold_is_an_error(text):
    with pytest.raises(ValueError, match="more than a quantity can hold"):
        parse_quantity(text)


@settings(max_examples=200)
@given(st.integers(min_value=0, max_value=10**24))
def test_an_amount_survives_being_written(nanos):
    assert parse_quantity(write_decimal(nanos)) == nanos
    assert parse_quantity(write_binary(nanos)) == nanos


def test_bytes_are_written_in_binary_units_and_counts_in_decimal():
    assert write_binary(1536 * 2**20 * NANO) == "1536Mi"
    assert write_decimal(1500 * NANO // 1000) == "1500m"
