"""Logging of every process of the suite: structlog, to stderr, in the form that fits the place.

On a terminal a readable line, under systemd the journal's native entries with fields, else JSON, a
line an event. Rule: one event is one entry, whatever is in its values, and no secret is in it.

Modules say `log: FilteringBoundLogger = structlog.get_logger()` and `log.info("file_uploaded",
bucket=..., key=...)`.
"""

import json
import logging
import os
import sys
from collections.abc import Mapping
from typing import Any, Literal, TextIO, TypeAlias

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from shared.journal import Journal, field_name, message_id, stderr_is_journal
from shared.redact import redact_fields, redact_text

Form: TypeAlias = Literal["auto", "console", "json", "journal"]

_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
_COLOURS = {"debug": "\x1b[2m", "info": "\x1b[32m", "warning": "\x1b[33m", "error": "\x1b[31m"}
_PLAIN = "\x1b[0m"
_FRAME = ("event", "level", "timestamp", "service", "exception")
_CALLSITE = {"CODE_FILE": "pathname", "CODE_LINE": "lineno", "CODE_FUNC": "func_name"}


def configure_logging(service: str, level: str = "info", form: Form = "auto") -> None:
    """Set up logging of this process; every entry carries `service`.

    `auto` is the journal where stderr leads there, else the console on a terminal, else JSON.
    What libraries log with the standard library, from warnings up, arrives as `library_logged`.
    """
    chosen = form_of_stderr(form)
    number = logging.getLevelNamesMapping()[level.upper()]
    before: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _Service(service),
        structlog.processors.format_exc_info,
    ]
    if chosen == "journal":
        before.append(_add_callsite())
    else:
        before.append(structlog.processors.TimeStamper(fmt="iso", utc=True))
    structlog.configure(
        processors=[*before, redact_event, _RENDERERS[chosen]()],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=_sink_factory(chosen),
        # A cached logger would keep the stream of the first set-up; binding costs a microsecond.
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(
        handlers=[_LibraryHandler()], level=max(number, logging.WARNING), force=True
    )


def log_crash(command: str, error: BaseException) -> None:
    """Log the traceback of what nobody expected, also when logging was never set up."""
    if not structlog.is_configured():
        configure_logging(command or "towpath")
    log: FilteringBoundLogger = structlog.get_logger()
    log.error("command_crashed", command=command, exc_info=error)


def form_of_stderr(form: Form) -> Literal["console", "json", "journal"]:
    """Return the form that is asked for, or the one that fits where stderr leads."""
    if form != "auto":
        return form
    if stderr_is_journal(os.environ):
        return "journal"
    return "console" if sys.stderr.isatty() else "json"


class _Service:
    """Puts the service's name into every entry."""

    def __init__(self, service: str) -> None:
        self._service = service

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event.setdefault("service", self._service)
        return event


def _add_callsite() -> structlog.typing.Processor:
    """Return the processor that finds the line of code, which only the journal has fields for."""
    parameter = structlog.processors.CallsiteParameter
    return structlog.processors.CallsiteParameterAdder(
        [parameter.PATHNAME, parameter.LINENO, parameter.FUNC_NAME]
    )


def redact_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Make every value plain and free of secrets, the traceback too; a structlog processor."""
    return redact_fields(event)


def render_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """Return one line of JSON, in ASCII: no value can break the line or the encoding."""
    first = {name: event[name] for name in ("timestamp", "level", "event") if name in event}
    return json.dumps({**first, **event}, separators=(",", ":"))


class ConsoleRenderer:
    """Renders `12:30:01 info  file_uploaded  bucket=a key='b c'`."""

    def __init__(self, *, colours: bool | None = None) -> None:
        self._colours = sys.stderr.isatty() if colours is None else colours

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> str:
        """Return one line, and below it the traceback, if there is one, marked as such."""
        level = str(event.get("level", "info"))
        on, off = (_COLOURS.get(level, ""), _PLAIN) if self._colours else ("", "")
        time = str(event.get("timestamp", ""))[11:19]
        line = f"{time} {on}{level:<7}{off} {message(event)}"
        return line + _traceback(event)


def message(event: Mapping[str, object]) -> str:
    """Return the event's name and fields as text in one line."""
    fields = (f"{name}={shown(value)}" for name, value in event.items() if name not in _FRAME)
    return " ".join([shown(event.get("event", "")), *fields])


def shown(value: object) -> str:
    """Return a value so that it cannot be mistaken for anything else in the line."""
    if isinstance(value, str):
        plain = value and value.isprintable() and not set(value) & set(" ='\"\\")
        return value if plain else repr(value)
    return repr(value)


def _traceback(event: Mapping[str, object]) -> str:
    """Return the traceback indented, so that no text in it looks like an entry of its own."""
    lines = str(event.get("exception", "")).splitlines()
    return "".join(
        f"\n    | {''.join(c if c.isprintable() else repr(c)[1:-1] for c in line)}"
        for line in lines
    )


class JournalRenderer:
    """Renders the fields of a journal entry."""

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> Any:  # noqa: ANN401 - structlog wants str, the sink takes a dict
        """Return the entry; `CID=02104` and the like are then found by `journalctl`."""
        name = str(event.get("event", ""))
        level = str(event.get("level", "info"))
        places = {field: str(event.pop(key)) for field, key in _CALLSITE.items() if key in event}
        trace = _traceback(event)
        entry = {
            "MESSAGE": message(event) + trace,
            "PRIORITY": str(_PRIORITIES.get(level, 6)),
            "MESSAGE_ID": message_id(name),
            "SYSLOG_IDENTIFIER": f"towpath-{event.get('service', '')}",
            **places,
        }
        for key, value in event.items():
            text = value if isinstance(value, str) else json.dumps(value)
            entry.setdefault(field_name(key), text)
        return ((entry,), {})


class _StreamSink:
    """Writes lines to what is stderr at that moment."""

    def msg(self, text: str) -> None:
        """Write one entry in one piece, so that those of two threads do not mix."""
        write_line(sys.stderr, text)

    debug = info = warning = error = critical = msg


class _JournalSink:
    """Sends entries to the journal, or to stderr when the journal takes none."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def msg(self, entry: Mapping[str, str]) -> None:
        """Send one entry."""
        if not self._journal.send(entry):
            # systemd reads the number in front of a line as its priority.
            text = entry["MESSAGE"].replace("\n", "\\n")
            write_line(sys.stderr, f"<{entry['PRIORITY']}>{text}")

    debug = info = warning = error = critical = msg


def write_line(stream: TextIO, text: str) -> None:
    """Write a line; a log that nobody can read any more does not stop a daemon."""
    try:
        stream.write(text.encode("utf-8", "backslashreplace").decode() + "\n")
        stream.flush()
    except (OSError, ValueError):
        return


def _sink_factory(form: str) -> Any:  # noqa: ANN401 - structlog's own type for it is Any
    """Return what makes the innermost logger, which writes."""
    sink = _JournalSink(Journal()) if form == "journal" else _StreamSink()
    return lambda *_arguments: sink


class _LibraryHandler(logging.Handler):
    """Passes on what libraries log with the standard library."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record as an event with a constant name."""
        log: FilteringBoundLogger = structlog.get_logger()
        text = redact_text(record.getMessage())
        log.log(
            record.levelno,
            "library_logged",
            library=record.name,
            text=text,
            exc_info=record.exc_info,
        )


_RENDERERS: dict[str, Any] = {
    "console": ConsoleRenderer,
    "json": lambda: render_json,
    "journal": JournalRenderer,
}
