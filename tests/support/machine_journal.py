"""A machine's journal as it is written: await an entry instead of looking again and again."""

import json
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from tests.support.daemon import LIMIT_SECONDS

Entry: TypeAlias = Mapping[str, str]
_SHOWN = 25
_SHOWN_FIELDS = ("UNIT", "_SYSTEMD_UNIT", "SYSLOG_IDENTIFIER")

_STARTED = "39f53479d3a045ac8e11786248231fbf"
_STOPPED = "9d1aaa27d60140bd96365438aad20286"
_RESTARTING = "5eb03494b6584870a536b337290809b3"


def started(unit: str) -> Mapping[str, str]:
    """Return the fields of systemd's entry that a unit has been started."""
    return {"MESSAGE_ID": _STARTED, "UNIT": unit}


def stopped(unit: str) -> Mapping[str, str]:
    """Return those of the entry that it has been stopped."""
    return {"MESSAGE_ID": _STOPPED, "UNIT": unit}


def restarting(unit: str) -> Mapping[str, str]:
    """Return those of the entry that it is going to be started again."""
    return {"MESSAGE_ID": _RESTARTING, "UNIT": unit}


class Journal:
    """The entries of one boot, oldest first, from a process that follows them."""

    def __init__(self, command: Sequence[str]) -> None:
        self._news = threading.Condition()
        self._entries: list[Entry] = []
        self._over = False
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._thread = threading.Thread(target=self._read, name="journal", daemon=True)
        self._thread.start()

    def mark(self) -> int:
        """Return where the journal stands, for `after=`."""
        with self._news:
            return len(self._entries)

    def entries(self, wanted: Mapping[str, str], *, after: int = 0) -> list[Entry]:
        """Return the entries so far that have these fields."""
        with self._news:
            return [entry for entry in self._entries[after:] if wanted.items() <= entry.items()]

    def wait_for(
        self,
        wanted: Mapping[str, str],
        *,
        after: int = 0,
        count: int = 1,
        limit: float = LIMIT_SECONDS,
    ) -> Entry:
        """Wait until there are so many entries with these fields; returns the last of them."""
        deadline = time.monotonic() + limit
        with self._news:
            while len(found := self.entries(wanted, after=after)) < count:
                left = deadline - time.monotonic()
                assert left > 0, f"{count} x {wanted} did not come in {limit} s\n{self.tail()}"
                assert not self._over, f"{wanted}: the machine has ended\n{self.tail()}"
                self._news.wait(left)
        return found[count - 1]

    def tail(self) -> str:
        """Return the last entries, for a message."""
        with self._news:
            return "\n".join(_line(entry) for entry in self._entries[-_SHOWN:])

    def close(self) -> None:
        """Follow no more."""
        self._process.kill()
        self._process.wait(LIMIT_SECONDS)
        self._thread.join(LIMIT_SECONDS)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            fields = json.loads(line)
            entry = {name: text for name, text in fields.items() if isinstance(text, str)}
            with self._news:
                self._entries.append(entry)
                self._news.notify_all()
        with self._news:
            self._over = True
            self._news.notify_all()


def _line(entry: Entry) -> str:
    unit = next((entry[name] for name in _SHOWN_FIELDS if name in entry), "")
    return f"{unit}: {entry.get('MESSAGE', '')}"
