"""Address ranges in MetalLB's two notations: `first-last` or a network in CIDR notation."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

Address = IPv4Address | IPv6Address

_FORMS = "must be first-last such as 198.51.100.10-198.51.100.20, or a network such as 198.51.100.16/28"


@dataclass(frozen=True)
class Range:
    """All addresses from `first` to `last`, both included."""

    first: Address
    last: Address

    @property
    def usable(self) -> int:
        """How many addresses MetalLB gives out: not .0 and .255, which old equipment takes for broadcasts."""
        total = int(self.last) - int(self.first) + 1
        if self.first.version == 6:
            return total
        return total - sum(_count(int(self.first), int(self.last), ending) for ending in (0, 255))

    def pick(self) -> Address | None:
        """The lowest usable address."""
        for value in range(int(self.first), min(int(self.last), int(self.first) + 2) + 1):
            if self.first.version == 6 or value % 256 not in (0, 255):
                return ip_address(value) if self.first.version == 4 else IPv6Address(value)
        return None

    def overlaps(self, other: "Range") -> bool:
        same = self.first.version == other.first.version
        return same and int(self.first) <= int(other.last) and int(other.first) <= int(self.last)


def _count(first: int, last: int, ending: int) -> int:
    """How many numbers of first..last end in `ending` modulo 256."""
    return (last - ending) // 256 - (first - 1 - ending) // 256


def parse(text: str) -> Range:
    """The range. ValueError with the rule that is broken; the caller names key and value."""
    if "-" in text:
        first_text, _, last_text = text.partition("-")
        try:
            first, last = ip_address(first_text.strip()), ip_address(last_text.strip())
        except ValueError as error:
            raise ValueError(f"{_FORMS}: {error}") from None
        if first.version != last.version:
            raise ValueError(f"{_FORMS}: {first} and {last} are not of the same family")
        if int(first) > int(last):
            raise ValueError(f"runs backwards: the last address {last} lies before the first {first}")
        return Range(first, last)
    if "/" not in text:
        raise ValueError(_FORMS)
    try:
        network = ip_network(text.strip())
    except ValueError as error:
        raise ValueError(f"{_FORMS}: {error}") from None
    return Range(network.network_address, network.broadcast_address)
