"""Settings as variables, for processes that read theirs from their environment."""

from collections.abc import Mapping

from pydantic import SecretStr

from pipelines.wildlife.settings import SERVICE, RunSettings
from shared.options import option_specs


def setting_variables(settings: RunSettings) -> Mapping[str, str]:
    """Return the variables from which the same settings are read again; secrets are among them."""
    found: dict[str, str] = {}
    for spec in option_specs(RunSettings):
        text = _text(getattr(settings, spec.name))
        if text:
            found[spec.variables(SERVICE)[0]] = text
    return found


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value)
