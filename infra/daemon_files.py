"""What `/etc/towpath/<service>.toml` says on an instance. Pure.

Rule: the daemon's own settings model judges every value, so that what a boot would refuse is
refused by `make synth`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import ValidationError

from daemons.uploader.settings import Settings as UploaderSettings
from daemons.watcher.settings import Settings as WatcherSettings
from infra.settings import Coordinator, Watchers
from shared.errors import UsageError
from shared.options import OptionSpec, option_specs
from shared.settings import ServiceSettings
from shared.values import toml_value

_HEAD = "# Written by the installation of this instance, and anew whenever that runs again.\n"

SettingsT = TypeVar("SettingsT", bound=ServiceSettings)


@dataclass(frozen=True, slots=True)
class DaemonFile(Generic[SettingsT]):
    """A daemon's configuration on an instance."""

    service: str
    settings: SettingsT
    """What the daemon will make of it."""
    text: str


def uploader_file(coordinator: Coordinator) -> DaemonFile[UploaderSettings]:
    """Return the uploader's file; UsageError has one line for each thing that is wrong."""
    given = {
        "directory": str(coordinator.directory),
        "aws_region": coordinator.region,
        "metrics": "cloudwatch",
        **coordinator.settings,
    }
    return _judged("uploader", UploaderSettings, given, "coordinator.settings")


def watcher_file(watchers: Watchers) -> DaemonFile[WatcherSettings]:
    """Return the file that all watchers of an instance share; UsageError as above."""
    given = {
        "bucket": watchers.bucket.name,
        "prefix": watchers.bucket.prefix,
        "root": str(watchers.root),
        "aws_region": watchers.region,
        "metrics": "cloudwatch",
        **watchers.settings,
    }
    return _judged("watcher", WatcherSettings, given, "watchers.settings")


def _judged(
    service: str, model: type[SettingsT], given: Mapping[str, object], table: str
) -> DaemonFile[SettingsT]:
    specs = {spec.name: spec for spec in option_specs(model)}
    if strangers := [name for name in given if name not in specs]:
        raise UsageError(
            "\n".join(
                f"{table}.{name}: there is no such setting; docs/options/{service}.md lists them"
                for name in strangers
            )
        )
    try:
        settings = model.model_validate(dict(given))
    except ValidationError as error:
        raise UsageError("\n".join(_lines(error, table, service))) from error
    return DaemonFile(service, settings, _HEAD + _toml(settings, specs, given))


def _toml(
    settings: ServiceSettings, specs: Mapping[str, OptionSpec], given: Mapping[str, object]
) -> str:
    """Write what is given, and leave the defaults to the daemon."""
    return "".join(
        f"{name} = {toml_value(spec, getattr(settings, name))}\n"
        for name, spec in specs.items()
        if name in given
    )


def _lines(error: ValidationError, table: str, service: str) -> list[str]:
    return [
        f"{table}.{'.'.join(map(str, fault['loc']))}: {fault['msg']}; "
        f"docs/options/{service}.md says what is allowed"
        for fault in error.errors()
    ]
