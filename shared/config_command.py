"""`towpath config`: show, validate and explain the settings of any service.

Rule: it knows no service. One is found through its entry point: beside `daemons.x.cli` there is
`daemons.x.settings` with a model named `Settings`.
"""

import argparse
import difflib
import importlib
import json
import os
import sys
from collections.abc import Sequence

from shared.cli import command_modules
from shared.errors import ExitStatus, UsageError
from shared.flags import OneLineParser
from shared.options import option_specs
from shared.reference import render_reference, render_toml
from shared.settings import Loaded, ServiceSettings, load_settings
from shared.values import plain_value, toml_value

SUMMARY = "show, validate and explain the settings of a service"

_ENTRY = ".cli"


def main(argv: Sequence[str]) -> int:
    """Run `towpath config` with these arguments."""
    arguments = _parser().parse_args(list(argv))
    model = settings_model(arguments.service)
    sys.stdout.write(_ACTIONS[arguments.action](model, arguments))
    return ExitStatus.DONE


def settings_model(service: str) -> type[ServiceSettings]:
    """Return the settings model of a service; UsageError where there is none."""
    modules = {n: m for n, m in command_modules().items() if m.endswith(_ENTRY)}
    if service not in modules:
        near = difflib.get_close_matches(service, modules, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"services are {', '.join(modules)}"
        raise UsageError(f"unknown service {service!r}; {hint}")
    module = importlib.import_module(modules[service].removesuffix(_ENTRY) + ".settings")
    model: type[ServiceSettings] = module.Settings
    return model


def _parser() -> argparse.ArgumentParser:
    """Return the parser of all three verbs."""
    parser = OneLineParser(
        "towpath config", "Show, validate and explain the settings of a service."
    )
    verbs = parser.add_subparsers(dest="action", required=True, parser_class=OneLineParser)
    show = verbs.add_parser("show", help="print the settings in force, as TOML")
    show.add_argument("--origin", action="store_true", help="say where each value comes from")
    show.add_argument("--json", action="store_true", help="print values and origins as JSON")
    validate = verbs.add_parser("validate", help="check file and environment, change nothing")
    reference = verbs.add_parser("reference", help="print the options page, in Markdown")
    reference.add_argument("--toml", action="store_true", help="print a sample file instead")
    for verb in (show, validate, reference):
        verb.add_argument("service", metavar="SERVICE", help="the name of a service's command")
    for verb in (show, validate):
        verb.add_argument("--config", metavar="FILE", help="read this file")
    return parser


def _load(model: type[ServiceSettings], arguments: argparse.Namespace) -> Loaded[ServiceSettings]:
    """Load as the service itself would, without flags."""
    argv = ["--config", arguments.config] if arguments.config else []
    return load_settings(model, argv, os.environ, service=arguments.service)


def _show(model: type[ServiceSettings], arguments: argparse.Namespace) -> str:
    """Return the settings in force."""
    loaded = _load(model, arguments)
    rows = [(spec, getattr(loaded.settings, spec.name)) for spec in option_specs(model)]
    if arguments.json:
        document = {
            spec.name: {"value": plain_value(spec, value), "origin": str(loaded.origins[spec.name])}
            for spec, value in rows
        }
        return json.dumps(document, indent=2) + "\n"
    lines = []
    for spec, value in rows:
        text = toml_value(spec, value)
        line = f"{spec.name} = {text}" if text else f"# {spec.name} is not set"
        lines.append(f"{line}  # {loaded.origins[spec.name]}" if arguments.origin else line)
    return "\n".join(lines) + "\n"


def _validate(model: type[ServiceSettings], arguments: argparse.Namespace) -> str:
    """Say that everything is fine; anything else is an exception."""
    loaded = _load(model, arguments)
    given = sum(origin.source != "default" for origin in loaded.origins.values())
    file = f"file {loaded.config_file}" if loaded.config_file else "no file"
    return f"{arguments.service}: valid; {file}, {given} of {len(loaded.origins)} options given\n"


def _reference(model: type[ServiceSettings], arguments: argparse.Namespace) -> str:
    """Return the options page or the sample file."""
    render = render_toml if arguments.toml else render_reference
    return render(model, arguments.service)


_ACTIONS = {"show": _show, "validate": _validate, "reference": _reference}
