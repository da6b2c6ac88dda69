"""Address ranges that may be connected to: the table against server-side request forgery (SSRF).

Public addresses are allowed. Private ranges need permission. Link-local, metadata, multicast and reserved
ranges are always blocked.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

__all__ = ["may_reach"]

_PRIVATE_4 = tuple(map(IPv4Network, ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12")))
_PRIVATE_4 += (IPv4Network("192.168.0.0/16"),)
_NEVER_4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",
            "100.100.100.200/32",
            "168.63.129.16/32",
            "169.254.0.0/16",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/3",
        ),
    )
)
"""Blocked ranges: IANA's special-purpose registry, and cloud metadata addresses outside of link-local."""
_PRIVATE_6 = (IPv6Network("::1/128"), IPv6Network("fc00::/7"))
_NEVER_6 = tuple(
    map(IPv6Network, ("2001::/23", "2001:db8::/32", "3fff::/20", "fd00:ec2::254/128", "fd20:ce::254/128"))
)
_PUBLIC_6 = IPv6Network("2000::/3")
_MAPPED, _NAT64, _6TO4 = IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"), IPv6Network("2002::/16")


def may_reach(address: str, *, allow_private: bool = False) -> bool:
    """Return True if an address may be connected to.

    The ranges follow IANA's special-purpose registries, since `ipaddress` differs between versions of Python.
    An IPv6 address that embeds an IPv4 one (mapped, NAT64, 6to4) is checked as that IPv4 address.

    Examples
    --------
    >>> may_reach("8.8.8.8"), may_reach("10.0.0.1"), may_reach("::ffff:127.0.0.1")
    (True, False, False)
    >>> may_reach("127.0.0.1", allow_private=True), may_reach("169.254.169.254", allow_private=True)
    (True, False)
    """
    parsed = ip_address(address.partition("%")[0])
    if isinstance(parsed, IPv6Address):
        embedded = _embedded_ipv4(parsed)
        if embedded is None:
            if any(parsed in network for network in _NEVER_6):
                return False
            return parsed in _PUBLIC_6 or (allow_private and any(parsed in network for network in _PRIVATE_6))
        parsed = embedded
    if any(parsed in network for network in _NEVER_4):
        return False
    return allow_private or not any(parsed in network for network in _PRIVATE_4)


def _embedded_ipv4(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address embedded in an IPv6 address, or None."""
    if address in _MAPPED or address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    if address in _6TO4:
        return IPv4Address((int(address) >> 80) & 0xFFFF_FFFF)
    return None
