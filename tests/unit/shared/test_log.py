import ast
import io
import json
import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from structlog.typing import FilteringBoundLogger

import shared.log
from shared.journal import Journal
from shared.log import ConsoleRenderer, Form, configure_logging, log_crash, render_json, write_line

ROOT = Path(__file__).parents[3]


@pytest.fixture
def stderr(log_put_back: None, capsys: pytest.CaptureFixture[str]) -> "Stderr":
    """Catch what is logged; structlog and logging will be as they were."""
    return Stderr(capsys)


class Stderr:
    """What has been written to stderr."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._text = ""

    def getvalue(self) -> str:
        """Return all of it."""
        self._text += self._capsys.readouterr().err
        return self._text


def logger() -> FilteringBoundLogger:
    """Return a logger as every module gets it."""
    return cast("FilteringBoundLogger", structlog.get_logger())


def test_json_carries_event_level_service_and_fields(stderr: Stderr) -> None:
    """This is what a log collector finds the lines by."""
    configure_logging("carrier", form="json")

    logger().info("file_uploaded", bucket="b", key="k\nl", size_bytes=3)

    line = json.loads(stderr.getvalue())
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "file_uploaded",
        "level": "info",
        "service": "carrier",
        "bucket": "b",
        "key": "k\nl",
        "size_bytes": 3,
    }


def test_events_below_the_level_cost_nothing_and_say_nothing(stderr: Stderr) -> None:
    """Debug events stand in the hottest loops."""
    configure_logging("carrier", "warning", "json")

    logger().info("file_uploaded")

    assert not stderr.getvalue()


def test_context_bound_for_a_pass_is_in_every_event(stderr: Stderr) -> None:
    """The bucket is said once for a pass, not in each call."""
    configure_logging("carrier", form="json")

    with structlog.contextvars.bound_contextvars(bucket="b"):
        logger().info("file_uploaded")

    assert json.loads(stderr.getvalue())["bucket"] == "b"


@pytest.mark.parametrize("form", ["console", "json"])
def test_secrets_are_hidden_in_fields_and_tracebacks(stderr: Stderr, form: Form) -> None:
    """No secret in a log, whichever way it tried to get in."""
    configure_logging("carrier", form=form)

    try:
        int("aws_secret_access_key=hunter2hunter2")
    except ValueError:
        logger().exception("upload_failed", session_token="hunter2hunter2")

    assert "hunter2" not in stderr.getvalue()
    assert "upload_failed" in stderr.getvalue()
    assert "Traceback" in stderr.getvalue()


def test_what_libraries_log_becomes_one_of_our_events(stderr: Stderr) -> None:
    """An SDK's warning would otherwise be an unstructured line without a service."""
    configure_logging("carrier", form="json")

    logging.getLogger("botocore").warning("retry %s", "password=hunter2")

    line = json.loads(stderr.getvalue())
    assert (line["event"], line["library"], line["level"]) == (
        "library_logged",
        "botocore",
        "warning",
    )
    assert "hunter2" not in line["text"]


def test_a_crash_is_logged_even_before_logging_was_set_up(stderr: Stderr) -> None:
    """The first thing that can fail is what comes before the set-up."""
    log_crash("carrier", ValueError("odd"))

    line = json.loads(stderr.getvalue())
    assert (line["event"], line["command"]) == ("command_crashed", "carrier")
    assert "ValueError: odd" in line["exception"]


def test_colours_only_where_somebody_sees_them(stderr: Stderr) -> None:
    """Escape sequences in a log file are litter."""
    event = {"event": "pass_finished", "level": "warning", "timestamp": "2026-01-02T03:04:05Z"}

    plain = ConsoleRenderer()(None, "", event)
    coloured = ConsoleRenderer(colours=True)(None, "", event)

    assert plain == "03:04:05 warning pass_finished"
    assert coloured == "03:04:05 \x1b[33mwarning\x1b[0m pass_finished"


def test_console_quotes_only_what_could_be_misread() -> None:
    """Most values are names and numbers; a line of quotes is hard to read."""
    event = {"event": "a", "level": "info", "key": "x.png", "note": "b c", "empty": "", "n": 3}

    assert ConsoleRenderer(colours=False)(None, "", event) == (
        " info    a key=x.png note='b c' empty='' n=3"
    )


@given(st.text(), st.text())
def test_no_value_breaks_a_console_line(value: str, exception: str) -> None:
    """A file name with a newline could otherwise write a log line of its own."""
    event = {"event": "a", "level": "info", "key": value, "exception": exception}

    first, *rest = ConsoleRenderer(colours=False)(None, "", event).split("\n")

    assert first.isprintable()
    assert all(line.startswith("    | ") and line.isprintable() for line in rest)


@given(st.dictionaries(st.text(), st.text()))
def test_no_value_breaks_a_json_line(fields: dict[str, str]) -> None:
    """Half a surrogate pair, a NUL or a line separator: one event is one line of ASCII."""
    line = render_json(None, "", {"event": "a", **fields})

    assert line.isascii()
    assert len(line.splitlines()) == 1


def test_a_log_that_cannot_be_written_stops_nobody() -> None:
    """The disk of the log is full, or its reader has gone: the work goes on."""
    closed = io.StringIO()
    closed.close()

    write_line(closed, "text")


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """Catch what would go to the journal."""
    sent: list[dict[str, str]] = []

    def send(_self: Journal, fields: Mapping[str, str]) -> bool:
        sent.append(dict(fields))
        return True

    monkeypatch.setattr(Journal, "send", send)
    return sent


def test_the_journal_gets_fields(stderr: Stderr, entries: list[dict[str, str]]) -> None:
    """`journalctl -u towpath-watcher CID=02104` is how an operator follows one job."""
    configure_logging("watcher", form="journal")

    logger().warning("job_failed", cid="02104", message="m", _hidden="h", attempts=2)

    [entry] = entries
    assert re.fullmatch("[0-9a-f]{32}", entry.pop("MESSAGE_ID"))
    assert entry.pop("CODE_FILE").endswith("test_log.py")
    assert entry.pop("CODE_LINE").isdecimal()
    assert entry.pop("CODE_FUNC") == "test_the_journal_gets_fields"
    assert entry == {
        "MESSAGE": "job_failed cid=02104 message=m _hidden=h attempts=2",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "towpath-watcher",
        "EVENT": "job_failed",
        "LEVEL": "warning",
        "SERVICE": "watcher",
        "CID": "02104",
        "FIELD_MESSAGE": "m",
        "FIELD__HIDDEN": "h",
        "ATTEMPTS": "2",
    }
    assert not stderr.getvalue()


def test_a_deaf_journal_is_replaced_by_stderr(
    stderr: Stderr, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While journald restarts nothing may be lost; systemd reads the priority in front."""
    monkeypatch.setattr(Journal, "send", lambda _self, _fields: False)
    configure_logging("watcher", form="journal")

    logger().error("job_failed", text="a\nb")

    assert stderr.getvalue() == "<3>job_failed text='a\\nb'\n"


@pytest.mark.parametrize(("journal", "form"), [(True, "journal"), (False, "json")])
def test_the_form_follows_where_stderr_leads(
    stderr: Stderr, monkeypatch: pytest.MonkeyPatch, *, journal: bool, form: str
) -> None:
    """The same unit file and the same command line work in all three places."""
    monkeypatch.setattr(shared.log, "stderr_is_journal", lambda _environ: journal)

    assert shared.log.form_of_stderr("auto") == form


def test_event_names_are_constant_and_snake_case() -> None:
    """A name with a value in it cannot be searched, counted or given a MESSAGE_ID."""
    wrong = [
        f"{path.relative_to(ROOT)}: {ast.unparse(call)}"
        for folder in ("shared", "daemons")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for call in logging_calls(ast.parse(path.read_text("utf-8")))
        if call.args and is_made_up(call.args[0])
    ]

    assert not wrong


def logging_calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls of a logger's methods."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(
                    value=ast.Name(id="log") | ast.Attribute(attr="_log" | "log"),
                    attr="debug" | "info" | "warning" | "error" | "exception",
                )
            ):
                yield node


def is_made_up(node: ast.expr) -> bool:
    """Tell whether a name is put together from values, or no name at all."""
    match node:
        case ast.Constant(value=str(name)):
            return re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) is None
        case ast.JoinedStr() | ast.BinOp() | ast.Constant():
            return True
    return False
