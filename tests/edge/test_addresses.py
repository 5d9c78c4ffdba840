"""Address ranges: counted and read as MetalLB does."""

from ipaddress import IPv4Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.edge.addresses import Range, parse


def test_both_notations_mean_the_same_addresses() -> None:
    assert parse("198.51.100.16-198.51.100.31") == parse("198.51.100.16/28")
    assert parse(" 2001:db8::1 - 2001:db8::9 ").usable == 9


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("198.51.100.10", "must be first-last such as"),
        ("198.51.100.10-198.51.100.300", "'198.51.100.300' does not appear to be an IPv4 or IPv6 address"),
        ("198.51.100.20-198.51.100.10", "runs backwards: the last address 198.51.100.10 lies before"),
        ("198.51.100.10-2001:db8::1", "are not of the same family"),
        ("198.51.100.10/28", "has host bits set"),
        ("198.51.100.0/33", "must be first-last"),
        ("", "must be first-last"),
        ("a-b-c", "must be first-last"),
    ],
)
def test_what_is_no_range_is_refused_in_words(text: str, part: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse(text)
    assert part in str(caught.value)


@given(first=st.integers(0, 2**32 - 1), length=st.integers(0, 2_000))
def test_usable_addresses_are_all_but_those_that_end_in_0_or_255(first: int, length: int) -> None:
    last = min(first + length, 2**32 - 1)
    usable = [value for value in range(first, last + 1) if value % 256 not in (0, 255)]
    mine = Range(IPv4Address(first), IPv4Address(last))
    assert mine.usable == len(usable)
    assert mine.pick() == (ip_address(usable[0]) if usable else None)


def test_a_large_ipv6_network_is_counted_without_walking_through_it() -> None:
    assert parse("2001:db8::/64").usable == 2**64
    assert str(parse("2001:db8::/64").pick()) == "2001:db8::"


def test_ranges_of_different_families_never_overlap() -> None:
    assert not parse("0.0.0.1-0.0.0.9").overlaps(parse("::1-::9"))
    assert parse("198.51.100.1-198.51.100.9").overlaps(parse("198.51.100.8/30"))
