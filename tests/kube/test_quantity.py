"""Sizes and CPU as integers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube.quantity import format_bytes, format_cpu, parse_bytes, parse_cpu


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("1Ki", 1024), ("1.5Gi", 1610612736), ("2T", 2 * 10**12), ("16Gi", 17179869184), ("100M", 10**8)],
)
def test_sizes_are_read_as_kubernetes_reads_them(text: str, value: int) -> None:
    assert parse_bytes(text) == value


@pytest.mark.parametrize(("text", "value"), [("250m", 250), ("2", 2000), ("0.5", 500), ("1.25", 1250)])
def test_cpu_is_read_in_millicores(text: str, value: int) -> None:
    assert parse_cpu(text) == value


@pytest.mark.parametrize("text", ["", "-1Gi", "1 Gi", "1gi", "1GiB", "Gi", "1e3", "١Gi"])
def test_what_is_no_size_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match="must be a size such as"):
        parse_bytes(text)


@pytest.mark.parametrize("text", ["", "-1", "1.2345", "100mm", "m", "1 "])
def test_what_is_no_cpu_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match="must be CPU such as"):
        parse_cpu(text)


@given(st.integers(0, 2**60))
def test_sizes_survive_being_written_and_read(value: int) -> None:
    assert parse_bytes(format_bytes(value)) == value


@given(st.integers(0, 10**7))
def test_cpu_survives_being_written_and_read(value: int) -> None:
    assert parse_cpu(format_cpu(value)) == value
