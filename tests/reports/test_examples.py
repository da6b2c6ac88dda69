"""The workflow and the hook of the README do what it says, run step by step on agents in a git repository."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.reports.test_findings import commands, sarif_run
from tests.support.media import FIXTURES

README = Path(__file__).parents[2] / "engine" / "reports" / "README.md"
WORKFLOW, HOOKS = (
    yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
)
STEPS: dict[str, dict[str, Any]] = {
    step.get("name", ""): step for step in WORKFLOW["jobs"]["agents"]["steps"]
}

pytestmark = pytest.mark.skipif(
    not (shutil.which("git") and shutil.which("bash")), reason="the examples are for git and bash"
)


class Repository:
    """A clone on a branch that changes an agent and adds a broken one, as a pull request is checked out."""

    def __init__(self, folder: Path) -> None:
        origin, self.folder, programs = folder / "origin", folder / "clone", folder / "bin"
        (origin / "agents").mkdir(parents=True)
        programs.mkdir()
        # No request leaves the machine: this `gh` keeps what it is asked to send.
        scripts = {
            "tessera": f'exec {shlex.quote(sys.executable)} -m tessera.cli "$@"',
            "gh": f'printf "%s\\n" "$@" > {shlex.quote(str(folder / "gh.txt"))}',
        }
        for name, line in scripts.items():
            (programs / name).write_text(f"#!/bin/sh\n{line}\n")
            (programs / name).chmod(0o755)
        own = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "GITHUB_"))}
        self.environment = {
            **own,
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GITHUB_BASE_REF": "main",
            "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
            "NUMBER": "7",
        }
        self.sent, self.summary = folder / "gh.txt", folder / "summary.md"
        shutil.copy(FIXTURES / "agents" / "single.json", origin / "agents" / "a talk.json")
        self.git("init", "-q", "-b", "main", str(origin), cwd=folder)
        self.commit(origin)
        self.git("clone", "-q", str(origin), str(self.folder), cwd=folder)
        self.git("checkout", "-q", "-b", "change", cwd=self.folder)

    def git(self, *args: str, cwd: Path) -> None:
        identity = ("-c", "user.name=test", "-c", "user.email=test@example.com")
        subprocess.run(
            ["git", *identity, *args], cwd=cwd, env=self.environment, check=True, capture_output=True
        )

    def commit(self, folder: Path) -> None:
        self.git("add", "-A", cwd=folder)
        self.git("commit", "-q", "-m", "change", cwd=folder)

    def change(self, **params: Any) -> None:
        """Commit other parameters of the tile Clips."""
        path = self.folder / "agents" / "a talk.json"
        agent = json.loads(path.read_text("utf-8"))
        clips = next(node for node in agent["agent_nodes"] if node["node_type"]["node_type_name"] == "Clips")
        clips["params_used"] |= params
        path.write_text(json.dumps(agent, indent=2))
        self.commit(self.folder)

    def run(self, *command: str) -> tuple[int, str]:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert "Traceback" not in done.stdout + done.stderr
        return done.returncode, done.stdout

    def step(self, name: str) -> tuple[int, str]:
        """Run a step as GitHub does."""
        return self.run("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", STEPS[name]["run"])


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_the_workflow_annotates_and_reports_faults(repository: Repository) -> None:
    repository.change(num_clips=2)
    assert repository.step("Annotate the lines with faults")[0] == 0
    shutil.copy(FIXTURES / "agents" / "invalid" / "cycle.json", repository.folder / "agents")
    repository.commit(repository.folder)
    code, out = repository.step("Annotate the lines with faults")
    ((level, properties, _message),) = commands(out)
    assert (code, level, properties["file"]) == (1, "error", "agents/cycle.json")
    assert repository.step("Write reports for code scanning")[0] == 0
    reports = {
        path.name: sarif_run(path.read_text("utf-8")) for path in (repository.folder / "sarif").iterdir()
    }
    assert {name: len(run.results) for name, run in reports.items()} == {
        "a talk.json.sarif": 0,
        "cycle.json.sarif": 1,
    }
    assert len({run.automationDetails["id"] for run in reports.values()}) == 2


def test_the_workflow_comments_what_a_pull_request_changes(repository: Repository) -> None:
    step = "Comment what the pull request changes"
    assert repository.step(step)[0] == 0
    assert not repository.sent.exists()
    repository.change(num_clips=7)
    assert repository.step(step)[0] == 0
    assert repository.sent.read_text().split() == [
        "pr",
        "comment",
        "7",
        "--edit-last",
        "--create-if-none",
        "--body-file",
        "comment.md",
    ]
    comment = (repository.folder / "comment.md").read_text("utf-8")
    assert "### Agents differ" in comment
    assert "<code>base/agents/a talk.json</code>" in comment
    assert "<code>7 (template)</code>" in comment
    assert repository.summary.read_text("utf-8") == comment


def test_an_agent_with_faults_is_named_as_such_in_the_comment(repository: Repository) -> None:
    repository.change(num_clips="many")
    assert repository.step("Comment what the pull request changes")[0] == 0
    assert (repository.folder / "comment.md").read_text() == "An agent with faults cannot be compared.\n"


def test_the_hook_validates_every_agent_that_is_committed(repository: Repository) -> None:
    (hook,) = HOOKS["repos"][0]["hooks"]
    assert re.search(hook["files"], "agents/a talk.json")
    entry = shlex.split(hook["entry"])
    assert repository.run(*entry, "agents/a talk.json", "agents/a talk.json")[0] == 0
    broken = str(FIXTURES / "agents" / "invalid" / "cycle.json")
    code, out = repository.run(*entry, broken, "agents/a talk.json")
    assert (code, out.splitlines()[-1]) == (1, f"invalid: {broken}")
