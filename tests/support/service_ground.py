"""Where the acceptance tests of one service play: a strict S3, and real daemons of the service."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Self

from tests.support.daemon import Daemon, Nursery, Outcome, clean_environment, run_command
from tests.support.nursery import Birth
from tests.support.strict_s3.server import StrictS3


@dataclass
class ServiceGround:
    """One test's folders and bucket, and what was started there."""

    service: ClassVar[str]
    bucket: ClassVar[str]

    folder: Path
    s3: StrictS3
    nursery: Nursery
    daemons: list[Daemon] = field(default_factory=list)

    @classmethod
    @contextmanager
    def opened(cls, folder: Path, nursery: Nursery) -> Iterator[Self]:
        """Have a ground with an empty bucket for the length of a block; leave no process behind."""
        with StrictS3([cls.bucket]) as s3:
            made = cls(folder, s3, nursery)
            try:
                yield made
            finally:
                for daemon in made.daemons:
                    daemon.kill()

    def birth(self, *argv: str, env: Mapping[str, str] | None = None) -> Birth:
        """Say how a daemon of this ground is started; later options win."""
        raise NotImplementedError

    def start(self, *argv: str, step: str = "") -> Daemon:
        """Start a daemon of this ground; with a step it kills itself there."""
        raise NotImplementedError

    def born(self, argv: Sequence[str], extra: Mapping[str, str] | None) -> Birth:
        """Say the same, given all options; an extra variable that is empty is left out."""
        known = {**clean_environment(), **self.s3.environment(), "BUCKET": self.bucket}
        whole = {**known, **(extra or {})}
        environ = {name: value for name, value in whole.items() if value}
        return Birth(argv, environ, service=self.service)

    def begin(self, birth: Birth, step: str = "", occurrence: int = 1) -> Daemon:
        """Start a daemon; with a step it kills itself there."""
        daemon = Daemon(replace(birth, step=step, occurrence=occurrence), self.nursery.start)
        self.daemons.append(daemon)
        return daemon

    def command(self, *argv: str, env: Mapping[str, str] | None = None) -> Outcome:
        """Run one of the commands that end by themselves."""
        return run_command(self.birth(*argv, env=env), self.nursery.start)[0]
