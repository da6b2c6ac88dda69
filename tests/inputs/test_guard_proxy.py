"""The guard proxy: the addresses it allows, the bytes it passes, and the requests it refuses."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from fractions import Fraction
from ipaddress import IPv4Address, IPv6Address, ip_address

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.inputs.fetch.addresses import may_reach
from tessera.inputs.fetch.download_cache import key_of
from tessera.inputs.fetch.guard_proxy import GuardProxy
from tessera.inputs.fetch.media_length import declared_length
from tessera.inputs.fetch.rules import FetchRules
from tessera.inputs.fetch.sniff import content_kind
from tessera.text.masking import mask_urls, masked_url
from tests.support.media import MEDIA
from tests.support.servers import TALK, Served, serving

LOOPBACK = FetchRules(allow_private=True, stall_s=2)
ANY_V4 = st.integers(0, 2**32 - 1).map(IPv4Address)


@pytest.fixture
def served() -> Iterator[Served]:
    with serving() as found:
        yield found


def get(url: str, guard: GuardProxy) -> httpx.Response:
    with httpx.Client(proxy=guard.proxy, trust_env=False) as client:
        return client.get(url)


PRIVATE = ["127.0.0.1", "127.8.8.8", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1"]
PRIVATE += ["::1", "fc00::1", "fd12:3456::1"]
NEVER = ["0.0.0.0", "169.254.169.254", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"]
NEVER += ["192.0.0.192", "198.18.0.1", "100.100.100.200", "168.63.129.16", "192.0.2.1", "::", "fe80::1"]
NEVER += ["fec0::1", "ff02::1", "2001:db8::1", "2001::1", "64:ff9b:1::1", "::7f00:1", "fd00:ec2::254"]
PUBLIC = ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_reached_only_where_allowed(address: str) -> None:
    assert not may_reach(address)
    assert may_reach(address, allow_private=True)


@pytest.mark.parametrize("address", [*NEVER, "fe80::1%eth0"])
def test_some_addresses_are_never_reached(address: str) -> None:
    assert not may_reach(address)
    assert not may_reach(address, allow_private=True)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_reached(address: str) -> None:
    assert may_reach(address)


@given(ANY_V4, st.booleans())
def test_an_embedded_address_is_judged_as_itself(address: IPv4Address, allowed: bool) -> None:
    alone, number = may_reach(str(address), allow_private=allowed), int(address)
    forms = (0xFFFF << 32 | number, 0x64FF9B << 96 | number, 0x2002 << 112 | number << 80)
    for form in forms:
        assert may_reach(str(IPv6Address(form)), allow_private=allowed) == alone


@given(st.integers(0, 2**128 - 1).map(IPv6Address) | ANY_V4)
def test_addresses_that_python_calls_not_global_are_never_reached_by_default(
    address: IPv4Address | IPv6Address,
) -> None:
    if not ip_address(str(address)).is_global and may_reach(str(address)):
        # 64:ff9b::/96 and 2002::/16 carry public addresses; nothing else that is not global may pass
        assert isinstance(address, IPv6Address)
        assert str(address).startswith(("64:ff9b:", "2002:"))


def test_a_name_is_resolved_once_and_the_checked_address_is_used(served: Served) -> None:
    port = int(served.url.rpartition(":")[2])
    answers = iter([["127.0.0.1"], ["192.0.2.1"]])
    lookups = []

    def resolve(host: str, at: int) -> list[str]:
        lookups.append((host, at))
        return next(answers)

    with GuardProxy(LOOPBACK, 10**7, resolve) as guard:
        assert get(f"http://changing.example:{port}/good.mp4", guard).content == TALK.read_bytes()
        assert lookups == [("changing.example", port)]
        assert get(f"http://changing.example:{port}/good.mp4", guard).status_code == 403
        assert guard.refusal == "refused: changing.example is a private address (192.0.2.1)"
    assert served.times("/good.mp4") == 1


def test_one_forbidden_address_among_allowed_ones_refuses_the_host(served: Served) -> None:
    port = served.url.rpartition(":")[2]
    with GuardProxy(LOOPBACK, 10**7, lambda _host, _port: ["127.0.0.1", "192.0.2.1"]) as guard:
        assert get(f"http://both.example:{port}/good.mp4", guard).status_code == 403
    assert served.requests == []


def test_a_connection_serves_one_request_only(served: Served) -> None:
    """A second request would go to the host of the first one, unchecked."""
    place = served.url.removeprefix("http://")
    with GuardProxy(LOOPBACK, 10**7) as guard, socket.create_connection(_address(guard)) as client:
        for _time in range(2):
            client.sendall(f"GET {served.url}/text.mp4 HTTP/1.1\r\nHost: {place}\r\n\r\n".encode())
        got = b""
        while more := client.recv(65_536):
            got += more
    assert got.lower().count(b"connection: close") == 1
    assert got.count(b"HTTP/1.1 200") == 1


@pytest.mark.parametrize(
    "line",
    [b"GET /good.mp4", b"GET ftp://127.0.0.1/x", b"GET https://127.0.0.1/x", b"CONNECT [::1", b"GET http://"],
)
def test_an_invalid_proxy_request_is_refused(line: bytes) -> None:
    with GuardProxy(LOOPBACK, 10**7) as guard, socket.create_connection(_address(guard)) as client:
        client.sendall(line + b" HTTP/1.1\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 400 ")


def test_the_proxy_passes_no_more_than_its_limit(served: Served) -> None:
    with GuardProxy(LOOPBACK, 200_000) as guard:
        with pytest.raises(httpx.RemoteProtocolError):
            get(f"{served.url}/good.mp4", guard)
        assert guard.close_reason == "it sends more than 200,000 bytes, the limit"


def _address(guard: GuardProxy) -> tuple[str, int]:
    host, _, port = guard.proxy.removeprefix("http://").partition(":")
    return host, int(port)


@pytest.mark.parametrize(
    ("head", "is_"),
    [
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "playlist"),
        (b"\xef\xbb\xbf \r\n#EXTM3U\n", "playlist"),
        ("#EXTM3U\n".encode("utf-16"), "playlist"),
        (b"ffconcat version 1.0\nfile a\n", "playlist"),
        (b'<?xml version="1.0"?>\n<MPD xmlns="x">', "playlist"),
        (b"<!-- x --><MPD>", "playlist"),
        (b"[playlist]\nFile1=a.mp3\n", "playlist"),
        (b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n", "playlist"),
        (b"file:///etc/passwd\n", "playlist"),
        (b"concat:/etc/passwd|b\n", "playlist"),
        (b"# a comment\nhttp://127.0.0.1:1/a.ts\n", "playlist"),
        (b"<!DOCTYPE html><title>x", "page"),
        (b"<?xml version='1.0'?><HTML >", "page"),
        (b"hello", "text"),
        (b"", "empty"),
        (TALK.read_bytes()[:65_536], "media"),
        (b"\x1aE\xdf\xa3matroska", "media"),
        (b"\xff\xf1\x50\x80\x02", "media"),
    ],
)
def test_the_first_bytes_reveal_files_that_are_not_media(head: bytes, is_: str) -> None:
    assert content_kind(head) == is_


@pytest.mark.parametrize(
    ("file", "seconds"),
    [("talk.mp4", "24.024"), ("multi_audio.mkv", "3.021"), ("sound.wav", None), ("logo.png", None)],
)
def test_the_first_bytes_give_the_declared_duration(file: str, seconds: str | None) -> None:
    length = declared_length((MEDIA / file).read_bytes()[:65_536])
    assert length == (Fraction(seconds) if seconds else None)


@given(st.binary(max_size=200), st.integers(0, 300), st.sampled_from(["talk.mp4", "multi_audio.mkv"]))
def test_reading_the_duration_never_fails_on_any_bytes(junk: bytes, at: int, file: str) -> None:
    head = (MEDIA / file).read_bytes()[:2000]
    for text in (junk, head[:at], head[:at] + junk + head[at + len(junk) :]):
        assert declared_length(text) != 0


def test_urls_with_different_signatures_mean_the_same_file() -> None:
    base = "https://b.example/a.mp4?id=7"
    for signed in (
        "X-Amz-Signature=1&X-Amz-Expires=9",
        "sig=a&se=b&sv=c",
        "Expires=1&Signature=x&Key-Pair-Id=k",
    ):
        assert key_of(f"{base}&{signed}#t") == key_of(base)
    for other in ("https://b.example/a.mp4?id=8", "https://c.example/a.mp4?id=7", "https://b.example/a.mp4"):
        assert key_of(other) != key_of(base)


@given(st.text(), st.text())
def test_masking_hides_every_query_and_is_idempotent(path: str, query: str) -> None:
    url = f"https://user:secret@host.example/{path}?token={query}"
    once = masked_url(url)
    assert mask_urls(mask_urls({url: [url]})) == mask_urls({url: [url]}) == {once: [once]}
    assert "secret" not in once
    assert "token=" not in once or "token=" in path
