"""A model's bytes: fetched once, and used only if they are those that somebody vouched for.

| `model_sha256` | `<model>.sha256` | what counts                                           |
|----------------|------------------|-------------------------------------------------------|
| given          | any              | what is given                                         |
| empty          | there            | its first word, as sha256sum writes it                |
| empty          | missing          | nothing: the model is refused, with the hash it has   |
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath

import anyio.to_thread

from pipelines.wildlife.document.places import locate
from pipelines.wildlife.storage.protocol import Missing, Storage
from shared.errors import UsageError

MODEL_BYTES_MAX = 1024 * 1024 * 1024
_NOTE_BYTES_MAX = 4096
_HASH = re.compile(rb"\s*([0-9a-fA-F]{64})(\s|$)")


@dataclass(frozen=True, slots=True)
class Weights:
    """A model as it is stored."""

    name: str
    """The file's name without its suffix."""
    body: bytes
    sha256: str


async def load_weights(storage: Storage, uri: str, expected: str) -> Weights:
    """Fetch a model; UsageError if it is not the expected one."""
    try:
        size = (await storage.stat(uri)).size
        if size > MODEL_BYTES_MAX:
            raise UsageError(f"model {uri!r} has {size} bytes; {MODEL_BYTES_MAX} are allowed")
        body = await storage.read(uri)
    except Missing as error:
        raise UsageError(f"model {uri!r} is not there; put it there or mend model_uri") from error
    found = await anyio.to_thread.run_sync(lambda: sha256(body).hexdigest())
    wanted = expected or await _noted(storage, f"{uri}.sha256")
    if not wanted:
        raise UsageError(
            f"model {uri!r} has no SHA-256 to check against; if {found} is the one you trust, set "
            "model_sha256 or store it beside the model with the suffix .sha256"
        )
    if found != wanted:
        raise UsageError(f"model {uri!r} has the SHA-256 {found}, not {wanted}; do not use it")
    return Weights(PurePosixPath(locate(uri).name).stem, body, found)


async def _noted(storage: Storage, uri: str) -> str:
    try:
        note = await storage.read(uri, length=_NOTE_BYTES_MAX)
    except Missing:
        return ""
    match = _HASH.match(note)
    if match is None:
        raise UsageError(f"{uri!r} does not begin with a SHA-256; write it with sha256sum")
    return match[1].decode().lower()
