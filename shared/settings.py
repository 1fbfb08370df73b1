"""The settings of a service: one frozen model, read from flag > environment > TOML > default.

A field's `Option` says how it is called outside; `load_settings` does the rest and remembers where
each value came from. Rule: whatever is wrong with the input is one line that names the option, the
place it was written in, the value and what is allowed; all lines come at once.
"""

import argparse
from collections.abc import Collection, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from shared.config_file import find_config_file, read_file
from shared.errors import UsageError
from shared.flags import AddFlags, build_parser, read_environment, read_flags
from shared.options import OptionSpec, option_specs
from shared.origins import DEFAULT, Layer, Origin

_layers: ContextVar[tuple[Layer, ...]] = ContextVar("settings_layers", default=())


class ServiceSettings(BaseSettings):
    """Base of every service's settings.

    `Settings(field=...)` in a test reads nothing but its arguments; only `load_settings` looks at
    flags, environment and files.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        hide_input_in_errors=True,
        validate_default=True,
    )

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:  # noqa: ANN401 - pydantic's signature
        """Refuse a field that cannot be written as flag, variable and TOML, at import."""
        super().__pydantic_init_subclass__(**kwargs)
        option_specs(cls)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the arguments, then the layers of the `load_settings` call that is under way."""
        # These would look at the process and forget where a value came from.
        del env_settings, dotenv_settings, file_secret_settings
        layers = (LayerSource(settings_cls, layer) for layer in _layers.get())
        return (init_settings, *layers)


class LayerSource(PydanticBaseSettingsSource):
    """Hands one layer to pydantic-settings, without what a stronger layer has given.

    pydantic-settings would merge the tables of two layers; a flag that names one alias is meant to
    replace the file's table, as a flag replaces everything else.
    """

    def __init__(self, settings_cls: type[BaseSettings], layer: Layer) -> None:
        super().__init__(settings_cls)
        self._layer = layer

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return this layer's value of a field, or None."""
        del field  # the layer goes by name
        given = self._layer.values.get(field_name)
        return (None if given is None else given.value), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the fields that only this layer gives."""
        return {
            name: given.value
            for name, given in self._layer.values.items()
            if name not in self.current_state
        }


SettingsT = TypeVar("SettingsT", bound=ServiceSettings)


@dataclass(frozen=True, slots=True)
class Loaded(Generic[SettingsT]):
    """Settings, and how they came about."""

    settings: SettingsT
    origins: Mapping[str, Origin]
    """Field to place; `str(origin)` is `flag --interval`, `file /etc/x.toml line 7`, ..."""
    arguments: argparse.Namespace
    """The command's own flags, those that `extra` added, and `config`."""
    config_file: Path | None
    """The TOML file that was read."""


def load_settings(
    model: type[SettingsT],
    argv: Sequence[str],
    environ: Mapping[str, str],
    *,
    service: str,
    extra: AddFlags | None = None,
    flags: Collection[str] | None = None,
) -> Loaded[SettingsT]:
    """Read a service's settings; UsageError has one line for each thing that is wrong.

    The model's docstring is the description in `--help`, which prints and raises SystemExit(0).
    `flags` are the fields that the line may give, all without it; environment and file are read as
    ever, so that one file serves several commands.
    """
    specs = option_specs(model)
    on_line = [spec for spec in specs if flags is None or spec.name in flags]
    parser = build_parser(on_line, service, description=model.__doc__ or "", extra=extra)
    arguments = parser.parse_args(list(argv))
    given = read_flags(specs, arguments)
    path = find_config_file(service, arguments.config, environ)
    layers = (
        given,
        read_environment(specs, service, environ),
        Layer({}) if path is None else read_file(specs, path),
    )
    settings = _build(model, layers, specs, service)
    origins = {spec.name: _origin(spec.name, layers) for spec in specs}
    return Loaded(settings, origins, arguments, path)


def _build(
    model: type[SettingsT], layers: tuple[Layer, ...], specs: Sequence[OptionSpec], service: str
) -> SettingsT:
    """Make the model, or one UsageError out of all complaints."""
    problems = [problem for layer in layers for problem in layer.problems]
    token = _layers.set(layers)
    try:
        settings = model()
    except ValidationError as error:
        known = {spec.name: spec for spec in specs}
        details = error.errors(include_url=False, include_context=False)
        problems += [_sentence(detail, known, layers, service) for detail in details]
        raise UsageError("\n".join(dict.fromkeys(problems))) from None
    finally:
        _layers.reset(token)
    if problems:
        raise UsageError("\n".join(problems))
    return settings


def _sentence(
    detail: ErrorDetails, specs: Mapping[str, OptionSpec], layers: Sequence[Layer], service: str
) -> str:
    """Turn one of pydantic's findings into the line that a person reads."""
    message = detail["msg"].removeprefix("Value error, ")
    spec = specs.get(str(detail["loc"][0])) if detail["loc"] else None
    if spec is None:
        return message
    variable = spec.variables(service)[0]
    if detail["type"] == "missing":
        given = f"give {spec.flag}, set {variable}" if spec.flag else f"set {variable}"
        return f"{spec.label} is required; {given} or write {spec.name} into the file"
    reason = message if detail["type"] == "value_error" else f"allowed: {spec.allowed}"
    for layer in layers:
        if spec.name in layer.values:
            at = detail["loc"][1] if len(detail["loc"]) > 1 else None
            return layer.values[spec.name].complain(spec, reason, at)
    return DEFAULT.complain(spec, spec.default, reason)


def _origin(name: str, layers: Sequence[Layer]) -> Origin:
    """Return the place of the strongest value."""
    return next((layer.values[name].origin for layer in layers if name in layer.values), DEFAULT)
