"""Which recogniser the settings name; no paid one is ever a default."""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from daemons.ingester.speech import double, fasterwhisper, openai, whispercpp
from daemons.ingester.speech.backend import Recogniser
from shared.errors import UsageError

PROVIDERS = (whispercpp.NAME, fasterwhisper.NAME, openai.NAME, double.NAME)
"""What `WHISPER_API_PROVIDER` may say; `replicate` of old is not among them."""


def choose_recogniser(variables: Mapping[str, str], root: Path) -> Recogniser:
    """Return the recogniser that the variables of a site name; relative paths begin at `root`.

    Call it when there is something to transcribe: a site without need of one need not name one.

    Raises:
        UsageError: none is named, an unknown one, or one that lacks a setting.
    """
    name = variables.get("WHISPER_API_PROVIDER", "").strip()
    if name == whispercpp.NAME:
        model = variables.get("WHISPER_CPP_MODEL", "").strip() or whispercpp.RECOMMENDED_MODEL
        folder = _needed(variables, "WHISPER_CPP_PATH", name)
        return whispercpp.WhisperCpp(_absolute(root, folder), model, _flags(variables))
    if name == fasterwhisper.NAME:
        return fasterwhisper.FasterWhisper(
            _absolute(root, _needed(variables, "FASTER_WHISPER_MODEL", name)),
            language=variables.get("FASTER_WHISPER_LANGUAGE", "").strip(),
            threads=_count(variables, "FASTER_WHISPER_THREADS"),
            compute_type=variables.get("FASTER_WHISPER_COMPUTE_TYPE", "").strip() or "default",
            python=_program(root, variables.get("FASTER_WHISPER_PYTHON", "").strip()),
        )
    if name == openai.NAME:
        return openai.OpenAi(_needed(variables, "OPENAI_API_KEY", name))
    if name == double.NAME:
        folder_name = variables.get("WHISPER_TEST_DOUBLE_PATH", "").strip()
        return double.Double(_absolute(root, folder_name) if folder_name else None)
    what = f"is {name!r}, which is not supported" if name else "is not set"
    raise UsageError(f"WHISPER_API_PROVIDER {what}; choose one of {', '.join(PROVIDERS)}")


def _needed(variables: Mapping[str, str], variable: str, provider: str) -> str:
    value = variables.get(variable, "").strip()
    if not value:
        raise UsageError(f"{variable} is not set; {provider} needs it")
    return value


def _absolute(root: Path, written: str) -> Path:
    """Return the absolute path of what a project names: programs run in other folders."""
    return (root / Path(written).expanduser()).absolute()


def _program(root: Path, written: str) -> str:
    """Return the Python that is named; one without a folder is looked for on the PATH."""
    return str(_absolute(root, written)) if "/" in written else written or sys.executable


def _flags(variables: Mapping[str, str]) -> tuple[str, ...]:
    text = variables.get("WHISPER_CPP_EXTRA_FLAGS", "")
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(f"WHISPER_CPP_EXTRA_FLAGS {text!r} cannot be split: {error}") from None


def _count(variables: Mapping[str, str], variable: str) -> int:
    text = variables.get(variable, "").strip() or "0"
    if not text.isascii() or not text.isdecimal():
        raise UsageError(f"{variable} is {text!r}; it must be a number, 0 for as many as it likes")
    return int(text)
