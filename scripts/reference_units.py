"""Write `systemd/`: the units of every daemon as `towpath units install` would make them.

They are for reading, and for who installs without the command. Rule: nothing in that folder is
written by hand; `make reference` writes it, and a test compares.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from daemons.collector import settings as collector_settings
from daemons.collector import unit as collector
from daemons.dispatcher import settings as dispatcher_settings
from daemons.dispatcher import unit as dispatcher
from daemons.ingester import settings as ingester_settings
from daemons.ingester import unit as ingester
from daemons.uploader import settings as uploader_settings
from daemons.uploader import unit as uploader
from daemons.watcher import settings as watcher_settings
from daemons.watcher import unit as watcher
from shared.units.context import UnitContext
from shared.units.needs import UnitNeeds
from shared.units.plan import is_ours
from shared.units.render import shared_files, unit_set

PROJECT = Path("/srv/towpath")
"""What stands for the folder of data in the units that are shown."""
BUCKET = "my-handshake"
_SEVERAL = 2


def reference_needs() -> Sequence[UnitNeeds]:
    """Return what each daemon needs with default settings, all below one folder."""
    return (
        collector.unit_needs(collector_settings.Settings(bucket=BUCKET, root=PROJECT)),
        dispatcher.unit_needs(dispatcher_settings.Settings(bucket=BUCKET, root=PROJECT)),
        ingester.unit_needs(ingester_settings.Settings(root=PROJECT)),
        uploader.unit_needs(uploader_settings.Settings(directory=PROJECT / "output/s3")),
        watcher.unit_needs(watcher_settings.Settings(bucket=BUCKET, root=PROJECT)),
    )


def reference_files() -> Mapping[PurePosixPath, str]:
    """Return every file of `systemd/`, by its name there."""
    context = UnitContext()
    files = list(shared_files(context))
    for needs in reference_needs():
        files += unit_set(needs, context).files
        if needs.several:
            files += unit_set(needs, replace(context, instances=_SEVERAL)).files
    return {file.name: file.text for file in files}


def _remove_stale(paths: Iterable[Path], folder: Path, files: Mapping[PurePosixPath, str]) -> None:
    """Remove what was written here once and is no longer one of the files."""
    for path in paths:
        name = PurePosixPath(path.relative_to(folder))
        if path.is_file() and name not in files and is_ours(path.read_text(encoding="utf-8")):
            path.unlink()


def main(argv: Sequence[str] | None = None) -> int:
    """Write the files into the folder that is named, and remove what is no longer one of them."""
    arguments = sys.argv[1:] if argv is None else argv
    folder = Path(arguments[0] if arguments else "systemd")
    files = reference_files()
    for paths in folder.rglob("towpath*/*.conf"), folder.glob("towpath*"):
        _remove_stale(paths, folder, files)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
