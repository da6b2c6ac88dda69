"""A machine without an outside network that has a public address.

Run as `unshare -rn python -m tests.support.offline_machine FOLDER`. It serves there, fetches from there with
private networks refused, and prints the outcomes.
"""

from __future__ import annotations

import fcntl
import json
import socket
import struct
import sys
from pathlib import Path
from typing import Any

from tessera import RequestError, run
from tessera.inputs.fetch.rules import FetchRules
from tests.support.media import FIXTURES
from tests.support.servers import serving

OURS = "8.8.8.8"
PATHS = [
    "/good.mp4",
    "/to?{private}/good.mp4",
    "/to?http://10.0.0.1/",
    "/to?http://localhost:{port}/good.mp4",
]
AGENT = FIXTURES / "agents" / "trimmer.json"
RULES = FetchRules(retry_s=1.0)


def be_alone() -> None:
    """Give the loopback interface, which must be the only one, our public address."""
    if [name for _index, name in socket.if_nameindex()] != ["lo"]:
        raise SystemExit("this machine has a network: run it by `unshare -rn`")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for name, address in (("lo", "127.0.0.1"), ("lo:1", OURS)):
            packed = struct.pack(
                "16sH2s4s8s", name.encode(), socket.AF_INET, b"", socket.inet_aton(address), b""
            )
            fcntl.ioctl(control, 0x8916, packed)  # SIOCSIFADDR
            fcntl.ioctl(control, 0x8914, struct.pack("16sh", name.encode(), 1))  # SIOCSIFFLAGS: IFF_UP


def outcome(url: str, workspace: Path) -> str:
    try:
        return run(AGENT, {"video_urls": [url]}, workspace=workspace, fetch_rules=RULES).status
    except RequestError as error:
        return error.errors[0].message


def main(folder: Path) -> dict[str, Any]:
    be_alone()
    with serving(OURS) as ours, serving() as private:
        places = {"private": private.url, "port": private.url.rpartition(":")[2]}
        outcomes = {path: outcome(ours.url + path.format(**places), folder / "ws") for path in PATHS}
        ours.videos["away"] = {"formats": [{"format_id": "0", "url": f"{private.url}/good.mp4"}]}
        outcomes["by a site"] = outcome(f"{ours.url}/site/watch?v=away", folder / "ws")
        paths = {one.path for one in private.requests}
    return {"outcomes": outcomes, "requests to the private host": sorted(paths)}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
