"""No secret of a URL leaves the workspace, whatever the command, the option and the place of the URL.

Ten markers stand where users and servers put secrets. Each command then runs on them, and what it prints, the
files that it writes and the whole workspace are searched. Only what a run reads may hold a marker: `plan
--json`, and the stored plan and agent of a run.
"""

from __future__ import annotations

import io
import json
import sqlite3
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tessera.cli import main
from tessera.testing import agent
from tests.support.servers import Served, serving

MARKERS = {
    "password": "zqpasswordqz",
    "signature": "zqsignatureqz",
    "token": "zqtokenqz",
    "key": "zqkeyqz",
    "fragment": "zqfragmentqz",
    "callback": "zqcallbackqz",
    "prompt": "zqpromptqz",
    "description": "zqdescriptionqz",
    "parameter": "zqparameterqz",
    "redirect": "zqredirectqz",
}
FACTS = {"duration_ms": 24_000, "width": 640, "height": 360, "fps": "30", "speech": [[0, 20_000]]}


def found_in(data: bytes, name: str = "") -> set[str]:
    """Return the names of the markers in some bytes, in the members of an archive, and in a file's name."""
    found = {mark for mark, text in MARKERS.items() if text.encode() in data.lower() or text in name.lower()}
    if data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.namelist():
                found |= found_in(archive.read(member), member)
    return found


@dataclass
class Place:
    """A folder with a request for each form of input, and the commands that ran there."""

    folder: Path
    served: Served
    capsys: pytest.CaptureFixture[str]
    codes: dict[str, int] = field(default_factory=dict)
    leaks: dict[str, set[str]] = field(default_factory=dict)

    @property
    def workspace(self) -> Path:
        return self.folder / "ws"

    def tessera(self, *args: str, may: bool = False) -> str:
        """Run a command and search what it prints; return its standard output."""
        self.capsys.readouterr()
        self.codes[" ".join(args)] = main([*args])
        out, err = self.capsys.readouterr()
        found = found_in(err.encode()) | (set() if may else found_in(out.encode()))
        if found:
            self.leaks[" ".join(args)] = found
        return out


@pytest.fixture
def place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TESSERA_WORKSPACE", "ws")
    with serving() as served:
        served.videos["film"] = {"title": "Film", "duration": 24.024, "channel": "Films", "channel_id": "UC1"}
        served.videos["lost"] = {"error": f"look at https://h.example/x?sig={MARKERS['redirect']} for why"}
        yield Place(tmp_path, served, capsys)


CLIP = {"input_clip_start_ms": 0, "input_clip_end_ms": 2000}
PRIVATE = "--allow-private-networks"


def requests_of(served: Served) -> dict[str, dict[str, Any]]:
    """Return requests with markers in every form of a URL: the first four run, the others are refused."""
    host, mark = served.url.removeprefix("http://"), MARKERS
    to = {
        "good": f"/good.mp4?sig={mark['redirect']}",
        "scheme": f"ftp://me:{mark['redirect']}@h.example/x?sig={mark['redirect']}",
        "private": f"http://me:{mark['redirect']}@169.254.169.254/x?sig={mark['redirect']}",
    }
    login, query = f"http://me:{mark['password']}@{host}", f"token={mark['token']}#{mark['fragment']}"
    return {
        "video": {"video_urls": [f"{login}/good.mp4?{query}"]},
        "signed": {
            "signed_urls": [f"{served.url}/good.mp4?X-Amz-Signature={mark['signature']}&X-Amz-Date=1"]
        },
        "redirected": {
            "video_url_inputs": [{"url": f"{served.url}/to?{quote(to['good'], safe='')}", **CLIP}]
        },
        "site": {
            "youtube_url_inputs": [{"url": f"{served.url}/site/watch?key={mark['key']}&v=film", **CLIP}]
        },
        "site-without-video": {"youtube_urls": [f"{served.url}/site/watch?key={mark['key']}&v=lost"]},
        "forbidden": {"video_urls": [f"{login}/status/403.mp4?{query}"]},
        "to-scheme": {"video_urls": [f"{served.url}/to?{quote(to['scheme'], safe='')}"]},
        "to-private": {"video_urls": [f"{served.url}/to?{quote(to['private'], safe='')}"]},
        "page": {"video_urls": [f"{login}/page.mp4?{query}"]},
        "no-media": {"video_urls": [f"{login}/text.mp4?{query}"]},
        "port": {"video_urls": [f"http://me:{mark['password']}@{host}9999/?{query}"]},
        "slash-in-password": {"video_urls": [f"http://me:{mark['password']}/{mark['key']}@{host}/?{query}"]},
        "scheme": {"signed_urls": [f"ftp://me:{mark['password']}@{host}/?{query}"], "callback_url": "no"},
        "space": {"video_urls": [f"{login}/ ?{query}"]},
        "as-id": {"video_ids": [f"{login}/?{query}"]},
        "as-name": {f"{login}/?{query}": 1},
        "as-number": {"input_clip_start_ms": f"{login}/?{query}"},
        "as-tile": {"ignore_nodes": [f"{login}/?{query}"]},
    }


def documents_in(place: Place) -> list[str]:
    """Write the agent, the requests and their facts; return the names of the requests."""
    mark = MARKERS
    document = json.loads(agent("input > clips(num_clips=1, target_duration=1) > mirror").to_json())
    document["agent"]["description"] = f"As in https://h.example/d?sig={mark['description']}."
    document["agent"]["name"] = f"Like https://me:{mark['description']}@h.example/"
    [clips] = [one for one in document["agent_nodes"] if one["node_type"]["node_type_name"] == "Clips"]
    clips["params_used"]["prompt"] = f"like https://h.example/p?token={mark['prompt']}, nice"
    requests = requests_of(place.served)
    facts, bad = {}, {}
    for name, request in requests.items():
        request.setdefault("callback_url", f"https://me:{mark['callback']}@h.example/?key={mark['callback']}")
        seen = f"see https://me:{mark['parameter']}@h.example/u?key={mark['parameter']}"
        request["update_params"] = {clips["agent_node_id"]: {"prompt": seen}}
        (place.folder / f"{name}.json").write_text(json.dumps(request))
        for key in (key for key in request if key in ("video_urls", "signed_urls", "youtube_urls")):
            facts.update(dict.fromkeys(request[key], FACTS))
            bad.update({url: {"speech": url, url: 1} for url in request[key]})
    (place.folder / "agent.json").write_text(json.dumps(document))
    (place.folder / "facts.json").write_text(json.dumps(facts))
    (place.folder / "bad-facts.json").write_text(json.dumps(bad))
    return [*requests]


PLANNING = [
    "validate|", "validate|--json", "validate|--format|sarif", "validate|--format|junit",
    "validate|--format|github", "plan|", "plan|--format|markdown", "plan|--explain-media|--facts|facts.json",
    "plan|--explain-media|--facts|facts.json|--json", "plan|--media-graph|media.svg|--facts|facts.json",
    "graph|", "graph|--format|svg|--out|graph.svg", "graph|--format|dot", "graph|--format|mermaid",
    "graph|--json",
    "graph|--simulate|--facts|facts.json", "simulate|", "simulate|--json", "simulate|--facts|facts.json",
    "simulate|--facts|facts.json|--json", "simulate|--facts|facts.json|--format|markdown",
    "simulate|--facts|bad-facts.json", "simulate|--facts|bad-facts.json|--json",
    "estimate|--facts|facts.json",
    "estimate|--facts|facts.json|--json", "explain|--facts|facts.json", "explain|--facts|facts.json|--json",
    "explain|--facts|facts.json|--node|Clips.prompt", "explain|--facts|facts.json|--node|Clips",
    "explain|--facts|facts.json|--edge|Clips:Mirror", "explain|--facts|facts.json|--output|1",
]  # fmt: skip
HISTORY = [
    "show|latest", "show|latest|--items", "show|latest|--items|--json", "runs", "runs|--json", "logs|latest",
    "logs|latest|--json", "trace|latest", "bundle|latest|--media", "bundle|latest|--originals|--out|all.zip",
    "replay|run.zip", "replay|run.zip|--json", "run|--replay|all.zip|--json", "run|--replay|recorded.zip",
    "explain|agent.json|--of|latest|--node|Clips.prompt", "explain|agent.json|--of|latest|--output|1|--json",
    "diff|latest|latest",
    "preview|latest|Clips", "run|--of|latest|--only|Mirror", "simulate|agent.json|--of|latest|--only|Mirror",
    "resume|latest", "resume|latest|--json", "cancel|latest", "store|check", "doctor", "doctor|--json",
    "avatar|list", "avatar|list|--json",
]  # fmt: skip


def words(line: str) -> list[str]:
    return [word for word in line.split("|") if word]


def test_what_is_shown_before_a_run_has_no_secret(place: Place) -> None:
    for name in documents_in(place):
        for command, *options in map(words, PLANNING if name in ("video", "as-id") else PLANNING[::4]):
            place.tessera(command, "agent.json", f"{name}.json", *options)
        place.tessera("diff", f"{name}.json", "signed.json")
        place.tessera("diff", f"{name}.json", "signed.json", "--json")
    place.tessera("simulate", "agent.json", "--sweep", "video.json", "--facts", "facts.json")
    assert not place.leaks
    assert {code for line, code in place.codes.items() if "signed.json" in line and "diff" not in line} <= {
        0,
        2,
    }
    assert sum(code == 0 for code in place.codes.values()) > 60
    assert found_in((place.folder / "graph.svg").read_bytes()) == set()
    assert found_in((place.folder / "media.svg").read_bytes()) == set()


@pytest.mark.parametrize("name", ["video", "signed", "redirected", "site"])
def test_a_run_and_all_that_is_made_of_it_have_no_secret(name: str, place: Place) -> None:
    given = {f"{one}.json" for one in documents_in(place)} | {"agent.json", "facts.json", "bad-facts.json"}
    ours = ["agent.json", f"{name}.json", PRIVATE]
    place.tessera("run", *ours, "--out", "out", "--record", "recorded.zip", "--facts-out", "found.json")
    place.tessera("run", *ours, "--json")
    plan = place.tessera("plan", *ours[:2], "--json", may=True)
    (place.folder / "plan.json").write_text(plan)
    place.tessera("run", "--plan", "plan.json", PRIVATE, "--json")
    assert [*place.codes.values()] == [0, 0, 0, 0]
    assert found_in(plan.encode()) >= {"callback", "prompt"}, "a plan is for a run, and keeps its URLs"
    for command in map(words, HISTORY):
        place.tessera(*command)
    place.tessera("run", *ours, "--fail", "Mirror", "--json")
    place.tessera("logs", "latest")
    place.tessera("show", "latest", "--json")
    place.tessera("bundle", "latest", "--out", "failed.zip")
    assert not place.leaks
    unfit = [line.split()[0] for line, code in place.codes.items() if code and "--fail" not in line]
    assert set(unfit) <= {"resume", "cancel"}, "these find a run that has ended"
    for file in (one for one in place.folder.rglob("*") if one.is_file()):
        if str(file.relative_to(place.folder)) in {*given, "plan.json"}:
            continue
        if not file.name.startswith("tessera.db"):  # and its journal, read below
            assert not found_in(file.read_bytes(), file.name), file
    assert rows_with_markers(place.workspace / "tessera.db") <= {
        ("documents", "plan.json"),
        ("documents", "agent.json"),
    }


def rows_with_markers(database: Path) -> set[tuple[str, str]]:
    """Return the table and the name (the second column) of each row with a marker."""
    found = set()
    with sqlite3.connect(database) as connection:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in connection.execute(f"SELECT * FROM {table}"):
                if found_in(repr(row).encode()):
                    found.add((table, str(row[1])))
    return found


@pytest.mark.parametrize(
    "name", ["site-without-video", "forbidden", "to-scheme", "to-private", "page", "no-media"]
)
def test_a_failed_download_shows_no_secret(name: str, place: Place) -> None:
    documents_in(place)
    for options in ([], ["--json"]):
        place.tessera("run", "agent.json", f"{name}.json", PRIVATE, *options)
    assert not place.leaks
    assert [*place.codes.values()] == [2, 2]


def test_a_command_line_with_a_url_shows_no_secret(place: Place) -> None:
    documents_in(place)
    host = place.served.url.removeprefix("http://")
    url = f"http://me:{MARKERS['password']}@{host}/good.mp4?token={MARKERS['token']}#{MARKERS['fragment']}"
    for line in (
        "run|agent.json|--input|U", "run|agent.json|--input|Nobody=U", "run|agent.json|--set|Clips.nobody=U",
        "run|agent.json|--set|Clips.num_clips=U", "run|agent.json|--set|U", "run|agent.json|--ignore|U",
        "run|agent.json|--clip|U", "run|agent.json|U", "run|U", "show|U", "upload|U", "bundle|U", "replay|U",
        "diff|U|U", "nodes|U", "U", "run|agent.json|--U", "simulate|agent.json|--facts|U",
        "simulate|agent.json|--stub|U", "simulate|agent.json|--stub|Clips=U", "simulate|agent.json|--fail|U",
        "simulate|agent.json|--prices|U", "graph|agent.json|--out|U", "explain|agent.json|--node|U",
        "avatar|create|me|--video|U", f"avatar|create|me U|--video|U|{PRIVATE}", "avatar|list",
        "avatar|show|U",
        f"settings|mimir|--url|U|--key|{MARKERS['key']}|{PRIVATE}", "logs|latest|U", "preview|latest|U",
        f"settings|mimir|--url|{place.served.url}/mimir|--key|{MARKERS['key']}|{PRIVATE}",
    ):  # fmt: skip
        for options in ([], ["--json"]):
            place.tessera(*(word.replace("U", url) for word in words(line)), *options)
    assert not place.leaks
    assert set(place.codes.values()) <= {0, 1, 2}


def test_shrunk_documents_have_no_secret_unless_the_problem_needs_it(place: Place) -> None:
    documents_in(place)
    place.tessera("shrink", "agent.json", "video.json", "--while", "true")
    assert not found_in((place.folder / "shrunk/agent.json").read_bytes())
    needed = f"grep -q {MARKERS['token']} {{request}}"
    place.tessera("shrink", "agent.json", "video.json", "--while", needed, "--out", "needed")
    assert "token" in found_in((place.folder / "needed/request.json").read_bytes())
    assert not place.leaks


def test_a_url_that_was_cut_within_its_password_shows_nothing_of_it(place: Place) -> None:
    documents_in(place)
    long = f"https://me:{MARKERS['password']}{'x' * 300}@h.example/"
    for line in (
        f"run|agent.json|--set|Clips.num_clips={long}", f"run|agent.json|--quality|{long}",
        f"graph|agent.json|--set|Clips.prompt={long}",
        f"graph|agent.json|--format|svg|--set|Clips.prompt={long}",
        f"plan|agent.json|--set|Clips.prompt={long}|--format|markdown",
        f"plan|agent.json|--set|Clips.prompt={long}",
        f"diff|{json.dumps({'video_ids': [long]})}|{json.dumps({'video_ids': ['b']})}|--format|markdown",
        f"diff|{json.dumps({'video_ids': [long]})}|{json.dumps({'video_ids': ['b']})}",
        f"explain|agent.json|--set|Clips.prompt={long}|--node|Clips.prompt",
    ):  # fmt: skip
        place.tessera(*words(line))
    assert not place.leaks
