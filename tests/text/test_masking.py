"""Secrets in URLs are masked wherever the URL stands, and no input can pass as masked."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera import run
from tessera.testing import agent
from tessera.text.masking import masked_text
from tests.support.media import MEDIA

SECRET = "s3cr3t"
TEXTS = [
    f"https://h.example/a.mp4?masked=1&token={SECRET}",
    f"https://h.example/a.mp4?masked={SECRET}",
    f"https://me:{SECRET}@h.example/a.mp4",
    f"HTTPS://h.example/a.mp4#{SECRET}",
    f"Made like https://h.example/a.mp4?sig={SECRET}, but shorter.",
    f"[this film](https://h.example/a.mp4?sig={SECRET})",
    f'{{"url": "https://me:{SECRET}@h.example/a?b=c"}}',
    f"first s3://key:{SECRET}@h.example/a.mp4 then rtmp://h/live?key={SECRET}",
    f"https://h.example/x?t={SECRET},https://b.example/y?t={SECRET}",
    f"{{'url': 'https://me:pa'{SECRET}@h.example/a?k=it's-{SECRET}'}}",
    f"see\thttps://h.example/?k={SECRET}\nand <https://h.example/?k={SECRET}>",
]


@pytest.mark.parametrize("text", TEXTS)
def test_no_secret_of_a_url_stays_and_masking_twice_changes_nothing(text: str) -> None:
    masked = masked_text(text)
    assert SECRET not in masked
    assert "h.example" in masked
    assert masked_text(masked) == masked


def test_prose_round_a_url_stays() -> None:
    masked = masked_text(f"Made like https://h.example/a.mp4?sig={SECRET}, but shorter.")
    assert masked.startswith("Made like https://h.example/a.mp4?masked=")
    assert masked.endswith(", but shorter.")


@given(st.text(max_size=20), st.text(alphabet="abc=&?/:@#. ", max_size=30))
def test_masking_twice_changes_no_text(before: str, after: str) -> None:
    once = masked_text(f"{before} https://h.example/{after}")
    assert masked_text(once) == once


def test_a_bundle_holds_no_secret_of_a_prompt_or_description(tmp_path: Path) -> None:
    template = json.loads(agent("input > clips > mirror").to_json())
    template["agent"]["description"] = f"As in https://h.example/a.mp4?sig={SECRET}."
    [clips] = [node for node in template["agent_nodes"] if node["node_type"]["node_type_name"] == "Clips"]
    clips["params_used"] = {"prompt": f"like ftp://me:{SECRET}@h.example/a"}
    file, bundle = tmp_path / "agent.json", tmp_path / "bundle.zip"
    file.write_text(json.dumps(template))
    record = run(file, inputs=[str(MEDIA / "silent.mp4")], workspace=tmp_path / "ws")
    command = ["bundle", record.run_id, "--workspace", str(tmp_path / "ws"), "--out", str(bundle)]
    subprocess.run([sys.executable, "-m", "tessera.cli", *command], check=True, capture_output=True)
    with zipfile.ZipFile(bundle) as archive:
        for name in archive.namelist():
            assert SECRET.encode() not in archive.read(name), name


@pytest.mark.parametrize("options", [[], ["--format", "markdown"]], ids=["table", "markdown"])
def test_a_shown_plan_has_no_password_and_no_signature(options: list[str], tmp_path: Path) -> None:
    file, request = tmp_path / "agent.json", tmp_path / "request.json"
    file.write_text(agent("input > mirror").to_json())
    request.write_text(json.dumps({"video_urls": [f"https://me:{SECRET}@h.example/a.mp4?sig={SECRET}"]}))
    command = [sys.executable, "-m", "tessera.cli", "plan", str(file), str(request), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert SECRET not in done.stdout + done.stderr
    assert "h.example" in done.stdout
