"""A run is recorded with all outside answers, and replays from that file anywhere without a network."""

from __future__ import annotations

import json
import shutil
import socket
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tessera import Cancelled, Plan, RequestError, RunRecord, WorkspaceError, plan, resume, run
from tessera.bundle import archive
from tessera.bundle.archive import Archive
from tessera.bundle.bundle import write_bundle
from tessera.bundle.simulation import replay as simulated
from tessera.inputs.assets.library import Library
from tessera.record.events import Event, NodeChanged
from tessera.store.run_store import RunStore
from tessera.testing import agent, node_id
from tests.inputs.test_fetch import AGENT, ONE_SECOND, RULES, left_in, tessera
from tests.inputs.test_mimir import connected
from tests.inputs.test_ytdlp_site import FILM
from tests.support.bundles import rewritten
from tests.support.media import MEDIA
from tests.support.servers import serving

OF_THIS_RUN = {"run_id", "started_at", "updated_at", "completed_at", "triggered_at", "seconds"}
PLACES = {"video_url", "thumbnail_url", "path", "thumbnail_path", "commands"}


def comparable(record: RunRecord) -> Any:
    """Return a record without times, ids and paths."""

    def bare(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: bare(one) for name, one in value.items() if name not in OF_THIS_RUN | PLACES}
        return [bare(one) for one in value] if isinstance(value, list) else value

    found = bare(json.loads(record.to_json()))
    for node in found["nodes"]:
        del node["agent_node_id"]
    for output in found["outputs"]:
        del output["id"]
    return found


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a function that makes every use of the network fail."""

    def refuse(*_args: Any, **_options: Any) -> None:
        pytest.fail("the network was used")

    def cut() -> None:
        for name in ("connect", "connect_ex", "sendto", "bind"):
            monkeypatch.setattr(socket.socket, name, refuse)
        for name in ("getaddrinfo", "create_connection", "gethostbyname"):
            monkeypatch.setattr(socket, name, refuse)

    return cut


def contents(file: Path) -> list[bytes]:
    """Return the bytes of a bundle, and of each of its members unpacked."""
    with zipfile.ZipFile(file) as opened:
        return [file.read_bytes(), *(opened.read(name) for name in opened.namelist())]


def refused(file: Path, workspace: Path, *given: Any, **options: Any) -> str:
    """Return the message for a replay that is refused. Nothing is left in the workspace."""
    with pytest.raises(RequestError) as caught:
        run(*given, replay=file, workspace=workspace, **options)
    (fault,) = caught.value.errors
    assert left_in(workspace) == []
    assert not list(workspace.glob("assets/*"))
    assert RunStore(workspace).run_ids() == []
    return fault.message


def record_run(workspace: Path, file: Path, **options: Any) -> RunRecord:
    """Record a run of a local file."""
    given = {"inputs": [str(MEDIA / "silent.mp4")], "workspace": workspace, "record": file}
    return run(agent("input > mirror"), **{**given, **options})


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an intact recording."""
    folder = tmp_path_factory.mktemp("sound")
    record_run(folder / "ws", folder / "run.zip")
    return folder / "run.zip"


@pytest.fixture
def file(sound: Path, tmp_path: Path) -> Path:
    """Return a copy of the recording that a test may damage."""
    return Path(shutil.copy(sound, tmp_path))


# Replays


def test_a_signed_url_is_replayed_without_a_network_and_its_signature_is_not_stored(
    tmp_path: Path, offline: Callable[[], None]
) -> None:
    file = tmp_path / "run.zip"
    with serving() as served:
        url = f"{served.url}/good.mp4?id=7&X-Amz-Signature="
        request = {"signed_urls": [url + "s3cret"], **ONE_SECOND}
        made = run(AGENT, request, workspace=tmp_path / "ws", fetch_rules=RULES, record=file)
    offline()
    again = run(replay=file, workspace=tmp_path / "new")
    assert again.status == "completed"
    assert comparable(again) == comparable(made)
    assert [one.raw["asset_id"] for one in again.outputs] == [one.raw["asset_id"] for one in made.outputs]
    assert not any(b"s3cret" in content for content in contents(file))

    fresh = {"signed_urls": [url + "fresh"], "input_clip_end_ms": 500}
    changed = run(AGENT, fresh, replay=file, workspace=tmp_path / "new")
    assert [output.duration_ms for output in changed.outputs] == [500]
    said = refused(file, tmp_path / "x", AGENT, {"signed_urls": [url.replace("id=7", "id=8") + "s3cret"]})
    assert f"signed_url {served.url}/good.mp4?masked=" in said
    assert f"is not in the recording {file}, which contains signed_url {served.url}/good.mp4?masked=" in said
    assert "s3cret" not in said


def test_a_run_from_a_recording_whose_agent_gives_another_plan_says_so(file: Path, tmp_path: Path) -> None:
    codes = [one["code"] for one in run(replay=file, workspace=tmp_path / "ws").warnings]
    assert "other_plan" not in codes

    def flip(document: Any) -> None:
        document["agent_nodes"][1]["params_used"] = {"vertical_flip": True}

    rewritten(file, "agent.json", flip)
    (warning,) = [
        one for one in run(replay=file, workspace=tmp_path / "ws").warnings if one["code"] == "other_plan"
    ]
    assert warning["message"].endswith("its tiles differ; the plan of the agent is run")
    given = run(agent("input > mirror"), replay=file, workspace=tmp_path / "ws")
    assert "other_plan" not in [one["code"] for one in given.warnings]


def test_only_the_fetched_parts_of_a_site_video_are_replayed(
    tmp_path: Path, offline: Callable[[], None]
) -> None:
    file = tmp_path / "run.zip"

    def clips(*ranges: tuple[int, int]) -> dict[str, Any]:
        names = ("input_clip_start_ms", "input_clip_end_ms")
        url = f"{served.url}/site/watch?v=film"
        return {"youtube_url_inputs": [{"url": url, **dict(zip(names, one, strict=True))} for one in ranges]}

    with serving() as served:
        served.videos["film"] = FILM
        request = clips((5010, 6020), (7000, 7500))
        made = run(AGENT, request, workspace=tmp_path / "ws", fetch_rules=RULES, record=file)
    offline()
    again = run(replay=file, workspace=tmp_path / "new")
    assert comparable(again) == comparable(made)
    assert again.inputs[0]["about"]["channel"] == "Films"
    assert again.to_dict()["triggered_by"]["video_title"] == FILM["title"]
    within = run(AGENT, clips((5500, 7250)), replay=file, workspace=tmp_path / "new")
    assert [output.duration_ms for output in within.outputs] == [1750]
    with pytest.raises(RequestError, match=r"1000 to 2000 ms of youtube_url .* is not in the recording"):
        run(AGENT, clips((1000, 2000)), replay=file, workspace=tmp_path / "new")


def test_an_archive_item_is_replayed_without_a_connection(
    tmp_path: Path, offline: Callable[[], None]
) -> None:
    file = tmp_path / "run.zip"
    with serving() as served:
        served.items["both"] = {"highResUrl": "/good.mp4", "proxyUrl": "/no-ranges.mp4"}
        assert connected(served, tmp_path).returncode == 0
        request = {"mimir_assets": [{"id": "both", "artifact": "auto"}], **ONE_SECOND}
        made = run(AGENT, request, workspace=tmp_path / ".tessera", fetch_rules=RULES, record=file)
    offline()
    again = run(replay=file, workspace=tmp_path / "new")
    assert comparable(again) == comparable(made)
    assert again.inputs[0]["source_info"]["artifact"] == "highres"
    assert not any(secret in content for content in contents(file) for secret in (b"open-sesame", b"s3cret"))
    said = refused(file, tmp_path / "x", AGENT, {"mimir_assets": [{"id": "both"}]})
    assert "mimir both (highres) is not in the recording" in said
    assert "which contains mimir both (auto)" in said


def test_files_renders_images_and_analyses_are_replayed(tmp_path: Path, offline: Callable[[], None]) -> None:
    file, library = tmp_path / "run.zip", Library(tmp_path / "ws")
    first = run(AGENT, inputs=[str(MEDIA / "silent.mp4")], workspace=tmp_path / "ws")
    logo = library.add(MEDIA / "logo.png")
    shape = agent(
        "input > clips(num_clips=1, target_duration=2)"
        f' > watermark(use_custom_logo="custom", image_id="{logo.id}")'
    )
    request: dict[str, Any] = {
        "video_ids": [library.add(MEDIA / "talk.mp4").id],
        "node_render_inputs": [{"id": first.outputs[0].id, "input_clip_end_ms": 1000}],
    }
    made = run(shape, request, workspace=tmp_path / "ws", record=file)
    assert made.status == "completed", made.errors
    offline()
    assert comparable(run(replay=file, workspace=tmp_path / "new")) == comparable(made)
    other = Library(tmp_path / "y").add(MEDIA / "logo.jpg").id
    request["update_params"] = {node_id("watermark"): {"image_id": other}}
    with pytest.raises(
        RequestError, match=rf"Watermark {node_id('watermark')}: asset {other} \(logo.jpg\) is not in the"
    ):
        run(shape, request, replay=file, workspace=tmp_path / "y")


def test_the_answers_of_analysers_come_from_the_recording(tmp_path: Path) -> None:
    file = tmp_path / "run.zip"
    shape = agent("input > clips(num_clips=1, target_duration=2)")
    made = run(shape, inputs=[str(MEDIA / "talk.mp4")], workspace=tmp_path / "ws", record=file)
    rewrite_archive(file, recording=lambda raw: _first(raw)["heard"].update(speech=[[1000, 3000]]))
    again = run(replay=file, workspace=tmp_path / "new", record=tmp_path / "again.zip")
    assert again.outputs[0].raw["sources"] != made.outputs[0].raw["sources"]
    with Archive(tmp_path / "again.zip") as opened:
        assert _first(opened.document("recording.json"))["heard"]["speech"] == [[1000, 3000]]
    live = run(shape, inputs=[str(MEDIA / "talk.mp4")], workspace=tmp_path / "new")
    assert live.outputs[0].raw["sources"] == made.outputs[0].raw["sources"]
    again = run(shape, inputs=[str(MEDIA / "talk.mp4")], workspace=tmp_path / "new", record=file)
    assert [node.answers[0][2] for node in again.nodes.values() if node.answers] == ["cached"]
    with Archive(file) as opened:
        assert _first(opened.document("recording.json"))["heard"]["speech"]


def _first(recording: dict[str, Any]) -> dict[str, Any]:
    return next(iter(recording["assets"].values()))  # type: ignore[no-any-return]


def test_a_recording_is_a_bundle_and_a_bundle_can_be_a_recording(tmp_path: Path) -> None:
    made = record_run(tmp_path / "ws", tmp_path / "run.zip", quality="draft")
    assert simulated(tmp_path / "run.zip").to_dict()["items"] == made.items
    write_bundle(RunStore(tmp_path / "ws"), made.run_id, tmp_path / "later.zip", originals=True)
    again = run(replay=tmp_path / "later.zip", workspace=tmp_path / "new", record=tmp_path / "again.zip")
    assert comparable(again) == comparable(made)
    assert again.outputs[0].raw["quality"] == "draft"
    once_more = run(replay=tmp_path / "again.zip", workspace=tmp_path / "newer")
    assert comparable(once_more) == comparable(made)
    with zipfile.ZipFile(tmp_path / "run.zip") as opened:
        (media,) = [one for one in opened.infolist() if one.filename.startswith("media/")]
    assert media.compress_type == zipfile.ZIP_STORED


def test_a_run_of_a_plan_is_replayed_as_that_plan(tmp_path: Path) -> None:
    with serving() as served:
        decided = plan(AGENT, {"video_urls": [f"{served.url}/good.mp4?key=s3cret"], **ONE_SECOND})
        read = Plan.from_dict(decided.to_dict())
        made = run(read, workspace=tmp_path / "ws", fetch_rules=RULES, record=tmp_path / "run.zip")
    assert comparable(run(replay=tmp_path / "run.zip", workspace=tmp_path / "new")) == comparable(made)
    assert tessera("run", "--replay", "run.zip", "--workspace", "new", cwd=tmp_path).returncode == 0
    done = tessera("run", "--replay", "run.zip", "--ignore", "Mirror", cwd=tmp_path)
    assert "was of a plan: no --set, --ignore or --clip can change it" in done.stderr


def test_a_replay_cancelled_while_unpacking_leaves_nothing_behind(file: Path, tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        run(replay=file, workspace=tmp_path / "new", cancelled=lambda: True)
    assert left_in(tmp_path / "new") == []


def test_a_cancelled_replay_can_be_resumed_without_a_network(
    tmp_path: Path, offline: Callable[[], None]
) -> None:
    file = tmp_path / "run.zip"
    shape = agent("input > clips(num_clips=1, target_duration=2) > mirror")
    with serving() as served:
        request = {"video_urls": [f"{served.url}/good.mp4"]}
        made = run(shape, request, workspace=tmp_path / "ws", fetch_rules=RULES, record=file)
    offline()
    completed: list[Event] = []

    def seen(event: Event) -> None:
        if isinstance(event, NodeChanged) and (event.node, event.status) == (node_id("clips"), "completed"):
            completed.append(event)

    options: dict[str, Any] = {"on_event": seen, "cancelled": lambda: bool(completed)}
    cut = run(replay=file, workspace=tmp_path / "new", **options)
    assert cut.status == "cancelled"
    assert (
        comparable(resume(cut.run_id, workspace=tmp_path / "new"))["outputs"] == comparable(made)["outputs"]
    )


def test_the_command_records_and_replays(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    file = tmp_path / "kept" / "run.zip"
    with serving() as served:
        given = ["run", AGENT, "--input", f"{served.url}/good.mp4?key=s3cret", "--clip", "1:2"]
        done = tessera(*given, "--allow-private-networks", "--record", file, "--json", cwd=here)
    assert done.returncode == 0, done.stderr
    (here / "a.json").write_text(done.stdout)
    done = tessera("run", "--replay", file, "--out", "films", "--json", cwd=there)
    assert done.returncode == 0, done.stderr
    (there / "b.json").write_text(done.stdout)
    assert tessera("diff", here / "a.json", "b.json", cwd=there).stdout.strip() == "no differences"
    assert (there / "films" / "video-input-1.mp4").is_file()
    done = tessera("run", AGENT, "--input", f"{served.url}/talk.mp4", "--replay", file, cwd=there)
    assert done.returncode == 2
    assert f"video_url {served.url}/talk.mp4 is not in the recording" in done.stderr


def test_the_command_line_bundles_a_recorded_run_and_replays_it_with_changes(tmp_path: Path) -> None:
    made = record_run(tmp_path / "ws", tmp_path / "first.zip")
    given = ["bundle", "latest", "--originals", "-o", "run.zip", "--workspace", "ws"]
    assert tessera(*given, cwd=tmp_path).returncode == 0
    given = ["run", "--replay", "run.zip", "--workspace", "new", "--json"]
    done = tessera(*given, "--set", "Mirror.vertical_flip=true", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    changed = json.loads(done.stdout)
    assert changed["changes"]["overridden"][0]["parameter"] == "vertical_flip"
    assert changed["outputs"][0]["asset_id"] != made.outputs[0].raw["asset_id"]


# Refusals


def rewrite_archive(file: Path, drop: str = "", add: tuple[Any, bytes] | None = None, **change: Any) -> None:
    """Rewrite an archive without a member, with another one, or with changed documents."""
    with zipfile.ZipFile(file) as opened:
        members = [(one, opened.read(one)) for one in opened.infolist()]
    with zipfile.ZipFile(file, "w") as made:
        for one, data in members:
            name = one.filename.partition(".")[0].partition("/")[0]
            if name == drop:
                continue
            if name in change:
                raw = json.loads(data) if one.filename.endswith(".json") else bytearray(data)
                change[name](raw)
                data = json.dumps(raw).encode() if isinstance(raw, dict) else bytes(raw)
            made.writestr(one, data)
        if add is not None:
            made.writestr(*add)


def _link() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("media/link")
    info.external_attr = 0o120777 << 16
    return info


def _compressed() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("media/bomb")
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def _set_speech(recording: dict[str, Any], speech: list[list[int]]) -> None:
    _first(recording)["heard"] = {"speech": speech}


def _flip(data: bytearray) -> None:
    data[1000] ^= 1


def _set_duration(recording: dict[str, Any], duration: Any) -> None:
    recording["outside"]["answers"] = [
        {"form": "video_url", "question": "q", "key": "k", "name": "n", "asset": "a", "duration": duration}
    ]


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "a division by zero": (
        {"recording": lambda raw: _set_duration(raw, "1/0")},
        "is damaged: /outside/answers/0/duration: 1/0 is not a number: it divides by zero",
    ),
    "an object as a number": (
        {"recording": lambda raw: _set_duration(raw, {})},
        "is damaged: /outside/answers/0/duration: an object is not a number",
    ),
    "an endless exponent": (
        {"recording": lambda raw: _set_duration(raw, "1e999999999")},
        "/outside/answers/0/duration: '1e999999999' is not a number",
    ),
    "a text as a size": (
        {"recording": lambda raw: _first(raw).update(size="many")},
        '/size: must be a whole number, not "many"',
    ),
    "a number of 5,000 digits": (
        {"drop": "agent", "add": ("agent.json", b'{"x": ' + b"9" * 5000 + b"}")},
        "agent.json is not JSON: the number at line 1 has more than 4,300 digits",
    ),
    "a number that is infinite": (
        {"drop": "agent", "add": ("agent.json", b'{"x": 1e999}')},
        "agent.json is not JSON: the number '1e999' is out of range",
    ),
    "a document that is nested too deeply": (
        {"drop": "agent", "add": ("agent.json", b"[" * 200_000)},
        "agent.json is nested too deeply",
    ),
    "a document that is an array": (
        {"drop": "agent", "add": ("agent.json", b"[1]")},
        "agent.json is not an object, but an array",
    ),
    "no recording": ({"drop": "recording"}, "contains no recording: `tessera run --record FILE` and"),
    "no media": ({"drop": "media"}, "is damaged: it lacks media/"),
    "a bit of the media": ({"media": _flip}, "is damaged: its member media/"),
    "the end of the media": ({"media": lambda data: data.append(0)}, "bytes, not"),
    "a later format": (
        {"versions": lambda raw: raw.update(format=2)},
        "its format is 2, but this version of",
    ),
    "an unknown member": ({"recording": lambda raw: raw.update(more=1)}, "the recording in"),
    "another digest": (
        {"recording": lambda raw: _first(raw).update(sha256="0")},
        "does not match the recording",
    ),
    "speech that ends first": (
        {"recording": lambda raw: _set_speech(raw, [[3, 1]])},
        "the sound facts of asset",
    ),
    "media elsewhere": ({"recording": lambda raw: _first(raw).update(media="../x")}, "it lacks ../x"),
    "a way out": (
        {"add": ("../../evil.sh", b"")},
        "it contains '../../evil.sh', which is not allowed in a bundle",
    ),
    "an absolute path": (
        {"add": ("/etc/passwd", b"")},
        "it contains '/etc/passwd', which is not allowed in a bundle",
    ),
    "a foreign path": ({"add": ("media\\..\\x", b"")}, "which is not allowed in a bundle"),
    "a link": (
        {"add": (_link(), b"/etc/passwd")},
        "it contains 'media/link', which is not allowed in a bundle",
    ),
    "packed media": (
        {"add": (_compressed(), b"\0" * 10**6)},
        "media/bomb is compressed, but media must be",
    ),
    "a name twice": ({"add": ("plan.json", b"{}")}, "two of its members have the same name"),
}


@pytest.mark.parametrize("flaw", BAD)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_damaged_archive_gives_one_clear_error(flaw: str, file: Path, tmp_path: Path) -> None:
    change, says = BAD[flaw]
    rewrite_archive(file, **change)
    assert says in refused(file, tmp_path / "new")
    assert not (tmp_path / "evil.sh").exists()


@pytest.mark.parametrize("kept", [0, 100, -1, -30])
def test_a_truncated_file_is_refused(kept: int, file: Path, tmp_path: Path) -> None:
    file.write_bytes(file.read_bytes()[:kept])
    assert "run.zip is not a bundle: it is not a ZIP file, or is truncated" in refused(file, tmp_path / "new")


def test_a_document_that_unpacks_to_too_many_bytes_is_refused(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "_MAX_DOCUMENT_BYTES", 500_000)
    rewrite_archive(file, recording=lambda raw: raw.update(more=" " * 10**6))
    assert "its documents are larger than 500,000 bytes" in refused(file, tmp_path / "new")


def test_a_document_is_read_no_further_than_its_declared_size(tmp_path: Path) -> None:
    file = tmp_path / "run.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("recording.json", b" " * 50_000_000)
    data = file.read_bytes()
    file.write_bytes(data.replace((50_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little")))
    tracemalloc.start()
    try:
        assert "is not a bundle" in refused(file, tmp_path / "new")
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_media_is_copied_in_chunks(tmp_path: Path) -> None:
    file, size = tmp_path / "run.zip", 64_000_000
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("media/large", bytes(size))
    tracemalloc.start()
    try:
        with Archive(file) as opened:
            opened.copy("media/large", size, tmp_path / "copy")
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()
    assert (tmp_path / "copy").stat().st_size == size


def test_a_recording_that_cannot_be_written_is_refused_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="it is a folder"):
        record_run(tmp_path / "ws", tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(WorkspaceError, match="cannot write"):
        record_run(tmp_path / "ws", tmp_path / "file" / "run.zip")
    for option in ("record", "facts_out"):
        with pytest.raises(WorkspaceError, match="cannot write /proc/it: "):
            run(
                AGENT,
                ONE_SECOND,
                inputs=[str(MEDIA / "talk.mp4")],
                workspace=tmp_path / "ws",
                **{option: "/proc/it"},
            )
    assert RunStore(tmp_path / "ws").run_ids() == []


def test_a_replay_uses_only_the_recording_even_if_the_workspace_has_more(file: Path, tmp_path: Path) -> None:
    talk = Library(tmp_path / "ws").add(MEDIA / "talk.mp4")
    with pytest.raises(
        RequestError, match=rf"video_id {talk.id} is not in the .*contains asset .*silent\.mp4"
    ):
        run(AGENT, {"video_ids": [talk.id]}, replay=file, workspace=tmp_path / "ws")
