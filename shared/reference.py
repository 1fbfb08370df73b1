"""The pages that a settings model writes about itself: a Markdown reference and a sample file.

Rule: both come from the model alone, so that they cannot say anything else than the program does.
"""

import inspect
import textwrap
from collections.abc import Iterator
from itertools import groupby

from pydantic import BaseModel

from shared.flags import config_variable
from shared.options import Kind, OptionSpec, option_specs
from shared.values import toml_value

_WIDTH = 96


def render_reference(model: type[BaseModel], service: str) -> str:
    """Return the options page of a service in Markdown."""
    lines = [
        f"# Options of `towpath {service}`",
        "",
        inspect.cleandoc(model.__doc__ or ""),
        "",
        "A flag beats a variable, a variable beats the file, the file beats the default. The file",
        f"is the one that `--config` or `{config_variable(service)}` names, else the first of",
        f"`$XDG_CONFIG_HOME/towpath/{service}.toml` and `/etc/towpath/{service}.toml` that exists.",
        "An empty variable counts as not set.",
    ]
    for group, specs in _groups(model):
        lines += ["", f"## {group[:1].upper()}{group[1:]}", ""]
        lines += [
            "| flag | variable | key in the file | default | meaning |",
            "|---|---|---|---|---|",
        ]
        lines += [_row(spec, service) for spec in specs]
    return "\n".join(lines) + "\n"


def render_toml(model: type[BaseModel], service: str) -> str:
    """Return a sample file in which every option stands, explained, commented out, as it is."""
    head = (
        f"Settings of `towpath {service}`: every option with its default. Take the `#` away from "
        f"what you change, and check with `towpath config validate {service} --config FILE`."
    )
    lines = _comment(head)
    for group, specs in _groups(model):
        lines += ["", *_comment(f"{group[:1].upper()}{group[1:]}.")]
        for spec in specs:
            lines += ["", *_comment(_explanation(spec, service)), _assignment(spec)]
    return "\n".join(lines) + "\n"


def _groups(model: type[BaseModel]) -> Iterator[tuple[str, list[OptionSpec]]]:
    """Yield the options by heading, headings in the order of their first option."""
    specs = option_specs(model)
    order = list(dict.fromkeys(spec.group for spec in specs))
    ranked = sorted(specs, key=lambda spec: order.index(spec.group))
    for group, members in groupby(ranked, key=lambda spec: spec.group):
        yield group, list(members)


def _row(spec: OptionSpec, service: str) -> str:
    """Return the table row of one option."""
    flag = ", ".join(f"`{name}`" for name in (spec.short, spec.flag) if name)
    if spec.kind is Kind.SWITCH:
        flag += f", `{spec.negative_flag}`"
    variables = ", ".join(f"`{name}`" for name in spec.variables(service))
    default = toml_value(spec, spec.default)
    cells = [
        flag or "none: it is a secret",
        variables,
        f"`{spec.name}`",
        "required" if spec.required else f"`{default}`" if default else "none",
        f"{spec.description}. Allowed: {spec.allowed}.",
    ]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _explanation(spec: OptionSpec, service: str) -> str:
    """Return what the sample file says about one option."""
    places = [f"flag {spec.flag}"] if spec.flag else []
    places.append(f"variable {' or '.join(spec.variables(service))}")
    return f"{spec.description}. Allowed: {spec.allowed}; {', '.join(places)}."


def _assignment(spec: OptionSpec) -> str:
    """Return the line of one option; what has no default is shown empty."""
    if spec.required:
        return f"# {spec.name} =  (required)"
    value = toml_value(spec, spec.default)
    return f"# {spec.name} = " + (value or '""')


def _comment(text: str) -> list[str]:
    """Wrap a text into comment lines; the second `#` keeps it apart from a disabled option."""
    return [f"## {line}" for line in textwrap.wrap(text, _WIDTH, break_long_words=False)]
