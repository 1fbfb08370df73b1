"""`towpath completion SHELL`: what makes a shell complete sub-commands and their flags.

The script that it prints asks back with `towpath completion words COMMAND...`: flags are read out
of the command's own `--help`, at the moment somebody presses TAB. Rule: nothing is listed twice.
"""

import contextlib
import io
import re
import sys
from collections.abc import Sequence

from shared.cli import command_modules, load_command
from shared.errors import ExitStatus, SuiteError, UsageError

SUMMARY = "print the completion script of bash, zsh or fish"

_FLAG = re.compile(r"(?<![\w-])(--[a-z][a-z0-9-]*)")
_VERBS = re.compile(r"^\s+\{([a-z0-9,-]+)\}", re.MULTILINE)
_LISTED = re.compile(r"^commands:\n((?:  [a-z0-9-]+  .*\n)+)", re.MULTILINE)

_BASH = """\
_towpath() {
    local current=${COMP_WORDS[COMP_CWORD]}
    local words
    words=$(towpath completion words "${COMP_WORDS[@]:1:COMP_CWORD-1}" 2>/dev/null)
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _towpath towpath
"""
_ZSH = """\
#compdef towpath
_towpath() {
    local -a candidates
    candidates=(${(f)"$(towpath completion words "${(@)words[2,CURRENT-1]}" 2>/dev/null)"})
    compadd -a candidates || _files
}
if [ "$funcstack[1]" = "_towpath" ]; then _towpath "$@"; else compdef _towpath towpath; fi
"""
_FISH = """\
function __towpath_words
    set -l before (commandline -opc)
    towpath completion words $before[2..-1] 2>/dev/null
end
complete -c towpath -a '(__towpath_words)'
"""
_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def main(argv: Sequence[str]) -> int:
    """Print a shell's script, or the words that may follow those given."""
    match list(argv):
        case ["words", *before]:
            sys.stdout.write("".join(f"{word}\n" for word in words(before)))
        case [shell] if shell in _SCRIPTS:
            sys.stdout.write(_SCRIPTS[shell])
        case ["-h" | "--help"]:
            sys.stdout.write(_usage() + "\n")
        case other:
            raise UsageError(f"unknown shell {' '.join(other)!r}; {_usage()}")
    return ExitStatus.DONE


def words(before: Sequence[str]) -> list[str]:
    """Return what may follow the words already written after `towpath`."""
    modules = command_modules()
    if not before:
        return [*modules, "--help", "--version"]
    if before[0] == "completion":
        return list(_SCRIPTS)
    module = modules.get(before[0])
    if module is None:
        return []
    text = _help_of(module, [])
    verbs = _verbs(text)
    chosen = next((word for word in before[1:] if word in verbs), None)
    if chosen is not None:
        return _flags(_help_of(module, [chosen]))
    return [*verbs, *_flags(text)]


def _help_of(module: str, verbs: Sequence[str]) -> str:
    """Return what a command says to `--help`; nothing if it cannot."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit, SuiteError, ImportError):
        load_command(module)([*verbs, "--help"])
    return text.getvalue()


def _flags(text: str) -> list[str]:
    """Return the long flags that a help text names."""
    return list(dict.fromkeys(_FLAG.findall(text)))


def _verbs(text: str) -> list[str]:
    """Return the verbs that a help text names."""
    if match := _VERBS.search(text.partition("\n\n")[2]):
        return match[1].split(",")
    listed = _LISTED.search(text)
    return [line.split()[0] for line in listed[1].splitlines()] if listed else []


def _usage() -> str:
    """Say how it is called."""
    return 'say e.g. `eval "$(towpath completion bash)"`; shells are ' + ", ".join(_SCRIPTS)
