"""The services that have units: which there are, and what each needs with its configuration.

Rule: it knows no service. One is found through its entry point: beside `daemons.x.cli` there is
`daemons.x.unit` with a function named `unit_needs`.
"""

import difflib
import importlib
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from shared.cli import command_modules
from shared.config_command import settings_model
from shared.errors import UsageError
from shared.settings import load_settings
from shared.units.needs import UnitNeeds

_ENTRY = ".cli"


def unit_modules() -> Mapping[str, str]:
    """Return the services that have units, and the module of each that says what it needs."""
    packages = {
        name: module.removesuffix(_ENTRY)
        for name, module in command_modules().items()
        if module.endswith(_ENTRY)
    }
    return {
        name: f"{package}.unit"
        for name, package in packages.items()
        if find_spec(f"{package}.unit") is not None
    }


def chosen_services(names: Sequence[str], configuration: Path) -> Sequence[str]:
    """Return the named services, or else those that have a configuration; UsageError if none."""
    known = unit_modules()
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"services are {', '.join(known)}"
            raise UsageError(f"unknown service {name!r}; {hint}")
    if names:
        return tuple(dict.fromkeys(names))
    found = tuple(name for name in known if (configuration / f"{name}.toml").is_file())
    if not found:
        raise UsageError(
            f"no service has a file in {str(configuration)!r}; begin with "
            f"`towpath config reference --toml SERVICE > {configuration}/SERVICE.toml`"
        )
    return found


def load_needs(services: Sequence[str], configuration: Path) -> Sequence[UnitNeeds]:
    """Return what each needs; UsageError has every line that is wrong with any of their files.

    The environment of this shell counts for nothing: a unit has none of it.
    """
    problems: list[str] = []
    needs: list[UnitNeeds] = []
    for service in services:
        file = configuration / f"{service}.toml"
        if not file.is_file():
            problems.append(
                f"{service}: there is no {str(file)!r}; begin with "
                f"`towpath config reference --toml {service}`"
            )
            continue
        try:
            model = settings_model(service)
            loaded = load_settings(model, ["--config", str(file)], {}, service=service)
        except UsageError as error:
            problems += [f"{service}: {line}" for line in str(error).splitlines()]
            continue
        module = importlib.import_module(unit_modules()[service])
        found: UnitNeeds = module.unit_needs(loaded.settings)
        needs.append(found)
    if problems:
        raise UsageError("\n".join(problems))
    return needs
