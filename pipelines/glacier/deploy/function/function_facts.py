"""Reads a function as Lambda describes it; its image is in GetFunction, not in its settings."""

from collections.abc import Mapping
from typing import Any

from pipelines.glacier.deploy.function.function_plan import ALIAS, FunctionState, Settings
from shared.aws.calls import Answer, AwsCalls

ABSENT = ("ResourceNotFoundException",)
_STORAGE_MB = 512
"""What a function has that nobody gave any."""


async def load_function(calls: AwsCalls, name: str, qualifier: str = "") -> FunctionState | None:
    """Return a function, or one of its versions; None where there is none."""
    which = {"Qualifier": qualifier} if qualifier else {}
    answer = await calls.find("lambda", "get_function", ABSENT, FunctionName=name, **which)
    return None if answer is None else parse_function(answer)


async def load_live(calls: AwsCalls, name: str) -> tuple[str, FunctionState | None]:
    """Return the number of the version that `live` leads to and the version; empty and None."""
    alias = await calls.find("lambda", "get_alias", ABSENT, FunctionName=name, Name=ALIAS)
    if alias is None:
        return "", None
    version = str(alias["FunctionVersion"])
    return version, await load_function(calls, name, version)


def parse_function(answer: Answer) -> FunctionState:
    """Read the answer of GetFunction."""
    found, code = answer["Configuration"], answer.get("Code", {})
    return FunctionState(
        package_type=str(found.get("PackageType", "Zip")),
        image_uri=_image_uri(code),
        settings=Settings(
            role_arn=str(found.get("Role", "")),
            memory_mb=int(found.get("MemorySize", 0)),
            timeout_seconds=int(found.get("Timeout", 0)),
            storage_mb=int(found.get("EphemeralStorage", {}).get("Size", _STORAGE_MB)),
            environment=dict(found.get("Environment", {}).get("Variables", {})),
        ),
        architecture=next(iter(found.get("Architectures", ())), "x86_64"),
        code_sha256=str(found.get("CodeSha256", "")),
    )


def _image_uri(code: Mapping[str, Any]) -> str:
    """Return the image with the digest that its code has, however it was named."""
    named = str(code.get("ImageUri") or "")
    return named if "@" in named else str(code.get("ResolvedImageUri") or named)
