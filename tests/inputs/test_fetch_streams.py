"""Streams of sites that refer to forbidden places: files of this machine, and ports of private networks.

The server listens at 127.0.0.1, which the tests allow; at 127.0.0.2 listens one that no request may reach.
"""

from __future__ import annotations

import gc
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tessera import RequestError
from tessera.inputs.fetch import guard_proxy as guard
from tessera.store.store_check import check
from tests.inputs.test_fetch import RULES, left_in
from tests.inputs.test_ytdlp_site import played
from tests.support.servers import TALK, Served, _segment, serving

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""yt-dlp leaves responses open."""


@dataclass
class Private:
    """A port that no request may reach, and a file that no request may read."""

    port: int
    file: Path
    reached: int = 0

    def fill(self, text: str) -> bytes:
        """Replace `PORT` and `FILE` in a text."""
        return text.replace("PORT", f"127.0.0.2:{self.port}").replace("FILE", str(self.file)).encode()


@pytest.fixture
def private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Private]:
    monkeypatch.setattr(guard, "may_reach", lambda address, **_allowed: address == "127.0.0.1")
    # A machine in a company's network lists the hosts to be reached without its proxy.
    monkeypatch.setenv("no_proxy", "127.0.0.1,127.0.0.2,localhost,.local")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,127.0.0.2,localhost,.local")
    file = tmp_path / "own" / "secret.ts"
    file.parent.mkdir()
    file.write_bytes(_segment())
    with socket.create_server(("127.0.0.2", 0)) as listener:
        found = Private(listener.getsockname()[1], file)

        def accept() -> None:
            while True:
                try:
                    client, _address = listener.accept()
                except OSError:
                    return
                found.reached += 1
                client.close()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield found
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture
def served() -> Iterator[Served]:
    with serving() as found:
        yield found


HEAD = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:30\n"
ONE = "#EXTINF:24.024,\n"
END = "\n#EXT-X-ENDLIST\n"
SEGMENT = f"{ONE}/site/segment.ts{END}"
STREAMS = {
    "file": f"{HEAD}{ONE}file://FILE{END}",
    "path": f"{HEAD}{ONE}FILE{END}",
    "port": f"{HEAD}{ONE}http://PORT/secret.ts{END}",
    "tls port": f"{HEAD}{ONE}https://PORT/secret.ts{END}",
    "redirect": f"{HEAD}{ONE}/to?http://PORT/secret.ts{END}",
    "wrapped file": f"{HEAD}{ONE}crypto+file://FILE{END}",
    "joined files": f"{HEAD}{ONE}concat:FILE|FILE{END}",
    "key in a file": f'{HEAD}#EXT-X-KEY:METHOD=AES-128,URI="file://FILE"\n{SEGMENT}',
    "key at a port": f'{HEAD}#EXT-X-KEY:METHOD=AES-128,URI="http://PORT/key"\n{SEGMENT}',
    "sample key at a port": f'{HEAD}#EXT-X-KEY:METHOD=SAMPLE-AES,URI="http://PORT/key"\n{SEGMENT}',
    "sample file": f'{HEAD}#EXT-X-KEY:METHOD=SAMPLE-AES,URI="/key"\n{ONE}file://FILE{END}',
    "list in a file": f"{HEAD}#EXT-X-STREAM-INF:BANDWIDTH=1\nfile://FILE\n",
    "list at a port": f"{HEAD}#EXT-X-STREAM-INF:BANDWIDTH=1\nhttp://PORT/list.m3u8\n",
}


def refused(served: Served, facts: dict[str, Any], workspace: Path) -> str:
    served.videos["bad"] = facts
    with pytest.raises(RequestError) as caught:
        played(served, "/site/watch?v=bad", workspace, (5000, 6000), fetch_rules=replace(RULES, retry_s=0.5))
    assert left_in(workspace) == []
    assert check(workspace).problems == []
    said = str(caught.value)
    del caught  # close the responses that yt-dlp left open while the warning is ignored
    gc.collect()
    return said


@pytest.mark.parametrize("part", [False, True], ids=["whole", "part"])
@pytest.mark.parametrize("what", STREAMS)
def test_a_stream_reaches_no_file_and_no_private_port(
    what: str, part: bool, served: Served, private: Private, tmp_path: Path
) -> None:
    served.files["/bad.m3u8"] = private.fill(STREAMS[what])
    stream = {"format_id": "0", "url": "/bad.m3u8", "protocol": "m3u8_native"}
    refused(served, {"formats": [stream], **({"duration": 24.024} if part else {})}, tmp_path / "ws")
    assert private.reached == 0


@pytest.mark.parametrize("url", ["http://PORT/a.mp4", "https://PORT/a.mp4", "/to?http://PORT/a.mp4"])
@pytest.mark.parametrize("part", [False, True], ids=["whole", "part"])
def test_a_file_at_a_private_port_is_not_requested(
    url: str, part: bool, served: Served, private: Private, tmp_path: Path
) -> None:
    one = {"format_id": "0", "url": private.fill(url).decode()}
    said = refused(served, {"formats": [one], **({"duration": 24.024} if part else {})}, tmp_path / "ws")
    assert "refused: 127.0.0.2 is a private address" in said
    assert private.reached == 0


@pytest.mark.parametrize(
    "body",
    [
        "ffconcat version 1.0\nfile 'FILE'\n",
        f"{HEAD}{ONE}file://FILE{END}",
        f"{HEAD}{ONE}http://PORT/secret.ts{END}",
        '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
        '<AdaptationSet contentType="audio"><Representation id="0"><BaseURL>file://FILE</BaseURL></Representation>'
        "</AdaptationSet></Period></MPD>",
    ],
    ids=["concat", "hls", "hls port", "dash"],
)
def test_a_playlist_as_sound_is_not_followed_when_it_is_joined_to_its_picture(
    body: str, served: Served, private: Private, tmp_path: Path
) -> None:
    served.files |= {"/picture.mp4": TALK.read_bytes(), "/sound.m4a": private.fill(body)}
    picture = {"format_id": "v", "url": "/picture.mp4", "vcodec": "h264", "acodec": "none"}
    sound = {"format_id": "a", "url": "/sound.m4a", "ext": "m4a", "vcodec": "none", "acodec": "aac"}
    refused(served, {"formats": [sound, picture]}, tmp_path / "ws")
    assert private.reached == 0
