"""What the wildlife functions and the detection find in their environment. Pure.

Rule: what is said here is read by the runs' own settings, by the names that these give it; what is
not said keeps its default there.
"""

from collections.abc import Mapping

from infra.wildlife_names import WildlifeNames
from infra.wildlife_settings import Wildlife
from pipelines.wildlife.settings import SERVICE, RunSettings
from shared.options import Kind, OptionSpec, option_specs

_READS_SECRET = "weather_enrichment"  # noqa: S105 - the name of a state's module
_ALWAYS = {"AWS_EC2_METADATA_DISABLED": "true", "MALLOC_ARENA_MAX": "2"}
"""Roles are had without the metadata service; and each thread would keep a heap of its own."""


def function_variables(wildlife: Wildlife, names: WildlifeNames, module: str) -> Mapping[str, str]:
    """Return the variables of a state's function, by the state's module."""
    told = {**_told(wildlife, names), **_ALWAYS, "WILDLIFE_STATE": module}
    if module == _READS_SECRET:
        told[_variable("api_keys_secret")] = names.secret
    return told


def job_variables(wildlife: Wildlife, names: WildlifeNames) -> Mapping[str, str]:
    """Return the variables of the detection; a function has its region by itself."""
    told = {**_told(wildlife, names), **_ALWAYS, "AWS_REGION": names.aws_region}
    if wildlife.run_settings.detector == "http":
        told[_variable("api_keys_secret")] = names.secret
    return told


def in_bucket(uri: str, wildlife: Wildlife, names: WildlifeNames) -> str:
    """Return a URI of the settings' bucket as one of the stack's, whose name is a parameter."""
    here = f"s3://{wildlife.bucket.name}/"
    return f"s3://{names.bucket}/{uri.removeprefix(here)}" if uri.startswith(here) else uri


def _told(wildlife: Wildlife, names: WildlifeNames) -> dict[str, str]:
    specs = {spec.name: spec for spec in option_specs(RunSettings)}
    made = wildlife.run_settings
    told = {name: _text(specs[name], getattr(made, name)) for name in wildlife.settings}
    return {
        # An empty variable counts as not set.
        **{
            _variable(name): in_bucket(text, wildlife, names) for name, text in told.items() if text
        },
        _variable("environment_name"): names.environment,
        **{_variable(f"job_queue_{kind}"): name for kind, name in names.queues.items()},
    }


def _text(spec: OptionSpec, value: object) -> str:
    """Write a value as a variable has it."""
    if spec.kind is Kind.SWITCH:
        return "true" if value else "false"
    if spec.kind is Kind.LIST and isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return "" if value is None else str(value)


def _variable(name: str) -> str:
    return f"TOWPATH_{SERVICE}_{name}".upper()
