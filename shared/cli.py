"""The `towpath` command: finds the module of a sub-command, runs it, and says how it ended.

Sub-commands are the entry points of the group `towpath.commands`; each names a module with
`SUMMARY` and `main(argv) -> int`. Rule: nothing heavy is imported here, and a sub-command's module
only when it is named; its summary is read from its source, without running it.
"""

import errno
import importlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib.util import find_spec

from shared.errors import ExitStatus, SuiteError

GROUP = "towpath.commands"
CommandMain = Callable[[Sequence[str]], int]

_BUILT_IN = {"completion": "shared.completion"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command and return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    name = arguments[0] if arguments else "--help"
    if name in {"-h", "--help"}:
        return run_command("", _print_help, arguments)
    if name == "--version":
        return run_command("", _print_version, arguments)
    module = command_modules().get(name)
    if module is None:
        sys.stderr.write(f"towpath: unknown command {name!r}; {_hint(name)}\n")
        return ExitStatus.USAGE
    return run_command(name, partial(_import_and_run, module), arguments[1:])


def run_command(name: str, command: CommandMain, argv: Sequence[str]) -> int:
    """Run a command's `main` and turn whatever it raises into a line and an exit status.

    | what comes out                     | what is said               | status                    |
    |------------------------------------|----------------------------|---------------------------|
    | a status                           | nothing                    | the status                |
    | SuiteError, or a group of only them| one line for each problem  | its own                   |
    | KeyboardInterrupt                  | nothing                    | 130                       |
    | the reader of stdout has gone      | nothing                    | 0                         |
    | anything else                      | the traceback, as a log    | 1                         |
    """
    _never_fail_on_names()
    try:
        status = command(argv)
        sys.stdout.flush()
    except Exception as error:  # noqa: BLE001 - the last resort of a process, re-raised nowhere
        return _ended_by(name, error)
    except (KeyboardInterrupt, BaseExceptionGroup) as error:
        return _ended_by(name, error)
    return status


def command_modules() -> Mapping[str, str]:
    """Return the sub-commands and the module that each one lives in, by name."""
    found = dict(_declared_commands()) or dict(_commands_by_metadata())
    return dict(sorted((_BUILT_IN | found).items()))


def _declared_commands() -> Iterator[tuple[str, str]]:
    """Read the group out of the installed distributions' own files.

    `importlib.metadata` does the same and more, but importing it costs half of what `--help` may
    take: it brings the e-mail parser along.
    """
    for folder in sys.path:
        try:
            entries = os.listdir(folder or ".")  # noqa: PTH208 - pathlib costs start-up
        except OSError:
            continue
        for name in entries:
            if not name.endswith(".dist-info"):
                continue
            with suppress(OSError, UnicodeDecodeError):
                path = os.path.join(folder, name, "entry_points.txt")  # noqa: PTH118 - as above
                with open(path, encoding="utf-8") as stream:  # noqa: PTH123 - as above
                    yield from _group_members(stream)


def _group_members(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Take our group's lines `name = module:attribute` out of an entry_points.txt."""
    inside = False
    for line in lines:
        text = line.strip()
        if text.startswith("["):
            inside = text == f"[{GROUP}]"
        elif inside and "=" in text:
            name, _, value = text.partition("=")
            yield name.strip(), value.partition(":")[0].strip()


def _commands_by_metadata() -> Iterator[tuple[str, str]]:
    """Ask importlib.metadata, for installations that are not folders on the path."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - slow, and seldom needed

    yield from ((point.name, point.module) for point in entry_points(group=GROUP))


def load_command(module: str) -> CommandMain:
    """Import a sub-command's module and return its `main`."""
    command: CommandMain = importlib.import_module(module).main
    return command


def _import_and_run(module: str, argv: Sequence[str]) -> int:
    """Import late, so that a module that cannot be imported is reported like any other failure."""
    return load_command(module)(argv)


def summary(module: str) -> str:
    """Return a module's `SUMMARY` without running the module."""
    import ast  # noqa: PLC0415 - only the help needs it

    try:
        spec = find_spec(module)
        if spec is None or spec.origin is None:
            return "(not installed)"
        with open(spec.origin, encoding="utf-8") as stream:  # noqa: PTH123 - pathlib costs start-up
            tree = ast.parse(stream.read())
    except (ImportError, OSError, SyntaxError, ValueError):
        return "(not installed)"
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id="SUMMARY")], value=ast.Constant(value=str(text))):
                return text
            case ast.AnnAssign(target=ast.Name(id="SUMMARY"), value=ast.Constant(value=str(text))):
                return text
    return ""


def _print_help(_argv: Sequence[str]) -> int:
    """List the sub-commands."""
    modules = command_modules()
    width = max(map(len, modules)) + 2
    lines = [f"  {name:<{width}}{summary(module)}" for name, module in modules.items()]
    sys.stdout.write(
        "usage: towpath [--help] [--version] COMMAND ...\n\n"
        "Move files and jobs between machines through S3, unattended, losing nothing.\n\n"
        "commands:\n" + "\n".join(lines) + "\n\n"
        "`towpath COMMAND --help` tells the options of one; `towpath completion bash` prints what\n"
        "makes a shell complete them.\n"
    )
    return ExitStatus.DONE


def _print_version(_argv: Sequence[str]) -> int:
    """Print the installed version."""
    from importlib.metadata import version  # noqa: PLC0415 - only here

    sys.stdout.write(f"towpath {version('towpath')}\n")
    return ExitStatus.DONE


def _hint(name: str) -> str:
    """Name the nearest command, or all of them."""
    import difflib  # noqa: PLC0415 - only an error needs it

    modules = command_modules()
    near = difflib.get_close_matches(name, modules, n=1)
    return f"did you mean {near[0]!r}?" if near else f"commands are {', '.join(modules)}"


def _never_fail_on_names() -> None:
    """Let any file name be printed: bytes that are not UTF-8 come out as escapes."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):  # replaced by a test or closed by the parent
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # see above


def _ended_by(name: str, error: BaseException) -> int:
    """Say why a command ended, and return the exit status."""
    leaves = list(_leaves(error))
    if any(isinstance(leaf, KeyboardInterrupt) for leaf in leaves):
        return ExitStatus.INTERRUPTED
    statuses = [_status_of(leaf) for leaf in leaves]
    if None not in statuses:
        lines = (line for leaf in leaves for line in str(leaf).splitlines())
        prog = f"towpath {name}".rstrip()
        sys.stderr.write("".join(f"{prog}: {line}\n" for line in dict.fromkeys(lines)))
        return next((status for status in statuses if status), ExitStatus.UNEXPECTED)
    if isinstance(error, BrokenPipeError) and _stdout_is_gone():
        _discard_stdout()
        return ExitStatus.DONE
    from shared.log import log_crash  # noqa: PLC0415 - structlog costs start-up

    log_crash(name, error)
    return ExitStatus.UNEXPECTED


def _status_of(error: BaseException) -> ExitStatus | None:
    """Return the exit status of what may be expected to end a command; None for a mistake."""
    if isinstance(error, SuiteError):
        return error.status
    full = isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}
    return ExitStatus.SAFETY_STOP if full else None


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """Yield what an exception group consists of."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _stdout_is_gone() -> bool:
    """Tell a reader that left (`towpath status | head`) from a broken network connection."""
    import select  # noqa: PLC0415 - only here

    with suppress(OSError, ValueError):
        poll = select.poll()
        poll.register(sys.stdout.fileno(), select.POLLOUT)
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
    return False


def _discard_stdout() -> None:
    """Point stdout nowhere, so that the interpreter's own flush at exit does not complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


if __name__ == "__main__":
    sys.exit(main())
