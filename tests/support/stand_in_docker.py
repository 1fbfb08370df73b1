"""A `docker` for tests: notes every argument list, and pushes by telling moto's registry.

It is a program of its own on PATH, started as the real one is. What it answers to `image inspect`
and `image ls` comes from files beside its notes.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

BASE_DIGEST = "python@sha256:" + "ab" * 32
_PROGRAM = """\
#!{python} -IS
import json, os, pathlib, sys, urllib.request

folder = pathlib.Path({folder!r})
argv = sys.argv[1:]
note = {{"argv": argv, "attestations": os.environ.get("BUILDX_NO_DEFAULT_ATTESTATIONS")}}
words = [word for word in argv if not word.startswith("-")]
if argv[0] == "build":
    context = pathlib.Path(argv[-1])
    note["context"] = sorted(
        str(path.relative_to(context)) for path in context.rglob("*") if path.is_file()
    )
if argv[0] == "--config":
    settings = pathlib.Path(argv[1], "config.json")
    note["mode"] = oct(settings.stat().st_mode & 0o777)
    note["settings"] = json.loads(settings.read_text())
with open(folder / "notes.jsonl", "a") as notes:
    notes.write(json.dumps(note) + "\\n")
failing = folder / "failing"
if failing.exists() and failing.read_text() in argv:
    sys.exit("no space left on device")
if argv[:2] == ["image", "inspect"]:
    print("574000000" if "{{{{.Size}}}}" in argv else {digest!r})
if argv[:2] == ["image", "ls"]:
    print((folder / "images").read_text() if (folder / "images").exists() else "")
if argv[0] == "run":
    given = dict(argv[at + 1].split("=", 1) for at, word in enumerate(argv) if word == "--env")
    program = str(folder / "container.py")
    os.execve({python!r}, [{python!r}, "-IS", program], given)
if "push" in argv:
    name, _, tag = argv[-1].rpartition(":")
    layers = [{{"digest": "sha256:" + "0" * 64, "size": 1, "mediaType": "application/x"}}]
    manifest = {{"schemaVersion": 2, "config": {{"digest": tag, "size": 1}}, "layers": layers}}
    manifest["mediaType"] = "application/vnd.docker.distribution.manifest.v2+json"
    body = {{
        "repositoryName": name.partition("/")[2],
        "imageManifest": json.dumps(manifest),
        "imageManifestMediaType": manifest["mediaType"],
        "imageTag": tag,
    }}
    request = urllib.request.Request(
        os.environ["AWS_ENDPOINT_URL"],
        json.dumps(body).encode(),
        {{
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": "AmazonEC2ContainerRegistry_V20150921.PutImage",
            "Authorization": "AWS4-HMAC-SHA256 Credential=testing/20240801/us-west-2/ecr/"
            "aws4_request, SignedHeaders=host, Signature=0",
        }},
    )
    urllib.request.urlopen(request, timeout=10).read()
"""


@dataclass(frozen=True, slots=True)
class StandInDocker:
    """The program, and what it was asked."""

    folder: Path

    def notes(self) -> Sequence[Mapping[str, Any]]:
        """Return what was noted, a mapping for each start."""
        path = self.folder / "notes.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def lines(self) -> Sequence[Sequence[str]]:
        """Return the argument lists, without the program."""
        return [note["argv"] for note in self.notes()]

    def fail(self, word: str) -> None:
        """Let every start with this argument fail."""
        (self.folder / "failing").write_text(word)

    def runs(self, program: str) -> None:
        """Let `docker run` start this Python program, with the variables that it is given alone."""
        (self.folder / "container.py").write_text(program)

    def have_images(self, *names: str) -> None:
        """Let it list these images."""
        (self.folder / "images").write_text("\n".join(names))


def install_docker(folder: Path, monkeypatch: pytest.MonkeyPatch) -> StandInDocker:
    """Put the stand-in first on PATH."""
    programs = folder / "docker-bin"
    programs.mkdir()
    program = programs / "docker"
    text = _PROGRAM.format(python=sys.executable, folder=str(programs), digest=BASE_DIGEST)
    program.write_text(text)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    return StandInDocker(programs)
