"""The TOML file of a service: which one it is, and its values with the line each stands on.

| where it is named                               | when it is missing |
|-------------------------------------------------|--------------------|
| `--config FILE`                                 | an error           |
| `TOWPATH_<SERVICE>_CONFIG`                      | an error           |
| `$XDG_CONFIG_HOME/towpath/<service>.toml`       | the next           |
| `/etc/towpath/<service>.toml`                   | no file            |

`$XDG_CONFIG_HOME` defaults to `~/.config`. Rule: the first that exists is the only one read.
"""

import difflib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from shared.errors import UsageError
from shared.flags import config_variable
from shared.options import Kind, OptionSpec
from shared.origins import Given, Layer, Origin
from shared.toml_lines import key_lines, syntax_error

_LARGEST_FILE_BYTES = 256 * 1024
_SYSTEM_FOLDER = Path("/etc/towpath")


def find_config_file(service: str, flag: str | None, environ: Mapping[str, str]) -> Path | None:
    """Return the file to read; UsageError where one is named that is not there."""
    variable = config_variable(service)
    named = {"--config": flag, variable: environ.get(variable)}
    for place, name in named.items():
        if name:
            if not Path(name).expanduser().is_file():
                raise UsageError(f"{place} {name!r} is not a file; name an existing TOML file")
            return Path(name).expanduser()
    usual = (folder / f"{service}.toml" for folder in _usual_folders(environ))
    return next((path for path in usual if path.is_file()), None)


def _usual_folders(environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield the folders that are looked into unasked."""
    xdg = environ.get("XDG_CONFIG_HOME", "")
    if xdg.startswith("/"):  # a relative one is to be ignored, says the XDG specification
        yield Path(xdg) / "towpath"
    elif environ.get("HOME"):
        yield Path(environ["HOME"]) / ".config" / "towpath"
    yield _SYSTEM_FOLDER


def read_file(specs: Sequence[OptionSpec], path: Path) -> Layer:
    """Return the values of a TOML file; UsageError where it is no TOML at all."""
    text = _text(path)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line, reason = syntax_error(error, text)
        raise UsageError(f"{path} line {line} is not valid TOML; {reason}") from error
    lines = key_lines(text)
    known = {spec.name: spec for spec in specs}
    values: dict[str, Given] = {}
    problems: list[str] = []
    for name, value in document.items():
        origin = Origin("file", str(path), lines.get((name,), 1))
        spec = known.get(name)
        if spec is None:
            problems.append(
                f"{path} line {origin.line}: unknown option {name!r}; {_hint(name, known)}"
            )
            continue
        if _is_of_wrong_type(spec, value):
            problems.append(origin.complain(spec, value, f"allowed: {spec.allowed}"))
            continue
        nothing = spec.optional and value == ""
        inner = {path[1]: line for path, line in lines.items() if path[0] == name and path[1:]}
        values[name] = Given(None if nothing else value, value, origin, inner)
    return Layer(values, tuple(problems))


def _text(path: Path) -> str:
    """Read the file, within bounds."""
    try:
        with path.open("rb") as stream:
            data = stream.read(_LARGEST_FILE_BYTES + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(
            f"{str(path)!r} cannot be read: {reason}; check its permissions"
        ) from error
    if len(data) > _LARGEST_FILE_BYTES:
        raise UsageError(
            f"{str(path)!r} is larger than {_LARGEST_FILE_BYTES} bytes; is it the file?"
        )
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path} line {line} is not valid TOML; it must be UTF-8") from error


def _is_of_wrong_type(spec: OptionSpec, value: object) -> bool:
    """Find what pydantic would bend into shape: `interval = true` is not one second."""
    if isinstance(value, bool):
        return spec.kind is not Kind.SWITCH
    if spec.kind is Kind.SWITCH:
        return True
    if isinstance(value, str):
        return spec.kind in {Kind.INTEGER, Kind.NUMBER, Kind.LIST, Kind.TABLE} and bool(value)
    return False


def _hint(name: str, known: Mapping[str, OptionSpec]) -> str:
    """Name the nearest key, or all of them."""
    near = difflib.get_close_matches(name.replace("-", "_"), known, n=1)
    by_flag = [key for key, spec in known.items() if spec.flag[2:] == name.replace("_", "-")]
    guess = by_flag or near
    return f"did you mean {guess[0]!r}?" if guess else f"known are {', '.join(known)}"
