"""Runs a command and tells what it used and said; a small process of its own, as a script.

    measured.py REPORT TAIL_BYTES COMMAND...

The kernel tells the peak memory of a process to whoever waits for it, so somebody has to be its
parent. The report is a line `STATUS PEAK_BYTES LENGTH LENGTH`, then the end of its output and the
end of its error output, as long as the line says. SIGTERM is left to the command, which gets it
with the whole group. Rule: it imports nothing of the suite and as little as possible, because it is
started with each step.
"""

import os
import select
import signal
import sys

_PIECE = 65536
_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes in the kernel's unit of a resident size."""
_NOT_STARTED = 127


def main(argv: list[str]) -> int:
    """Run the command, write the report, and end as the command did."""
    report, keep, command = argv[1], int(argv[2]), argv[3:]
    # The report must be written also when everybody has been told to stop.
    signal.signal(signal.SIGTERM, lambda *_: None)
    wake = _wake_on_child()
    output, errors = os.pipe(), os.pipe()
    try:
        pid = _start(command, output[1], errors[1])
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        return _NOT_STARTED
    for writing in (output[1], errors[1]):
        os.close(writing)
    tails = {output[0]: b"", errors[0]: b""}
    status, peak = _attend(pid, wake, tails, keep)
    said = tuple(tails.values())
    _write(report, b"%d %d %d %d\n" % (status, peak, *map(len, said)) + b"".join(said))
    if status < 0:
        # So that whoever waits for us sees the signal itself; of those that end a process this one
        # alone is not at its default here.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status


def _wake_on_child() -> int:
    """Return a descriptor that becomes readable when a child ends, or a signal comes."""
    wake, waker = os.pipe()
    for descriptor in (wake, waker):
        os.set_blocking(descriptor, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return wake


def _start(command: list[str], output: int, errors: int) -> int:
    return os.posix_spawnp(
        command[0],
        command,
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, errors, 2)],
    )


def _attend(pid: int, wake: int, tails: dict[int, bytes], keep: int) -> tuple[int, int]:
    """Read until the command has ended; what outlives it is not waited for.

    Returns how it ended, as `subprocess` numbers it, and its peak memory in bytes.
    """
    poll = select.poll()
    for descriptor in (wake, *tails):
        os.set_blocking(descriptor, False)
        poll.register(descriptor, select.POLLIN)
    while True:
        # Asked before reading, so that what it wrote last is read as well.
        ended, status, usage = os.wait4(pid, os.WNOHANG)
        _drain(tails, keep)
        if ended:
            return os.waitstatus_to_exitcode(status), usage.ru_maxrss * _UNIT
        for descriptor, event in poll.poll():
            if descriptor == wake:
                _read(wake)
            elif not event & select.POLLIN:
                poll.unregister(descriptor)


def _drain(tails: dict[int, bytes], keep: int) -> None:
    for descriptor in tails:
        while piece := _read(descriptor):
            tails[descriptor] = (tails[descriptor] + piece)[-keep:]


def _read(descriptor: int) -> bytes:
    """Take what is there; nothing where there is nothing, now or ever."""
    try:
        return os.read(descriptor, _PIECE)
    except BlockingIOError:
        return b""


def _write(path: str, content: bytes) -> None:
    # Under a name of its own first: half a report would be worse than none.
    draft = f"{path}.draft"
    with open(draft, "wb") as stream:  # noqa: PTH123 - pathlib costs start-up
        stream.write(content)
    os.rename(draft, path)  # noqa: PTH104 - the same


if __name__ == "__main__":
    sys.exit(main(sys.argv))
