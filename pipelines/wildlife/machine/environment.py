"""Settings as variables, for processes that read theirs from their environment."""

from collections.abc import Mapping

from pydantic import SecretStr

from pipelines.wildlife.detect.settings import DetectSettings
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


def detection_variables(settings: RunSettings) -> Mapping[str, str]:
    """Return the variables of the detection, which has short names of its own for some settings.

    Those are stronger, and plain enough (`BATCH_SIZE`) to be in somebody's environment for another
    program; so each is said, an empty one as well, which counts as not set.
    """
    usual = {spec.name: spec.fixed_variables for spec in option_specs(RunSettings)}
    short = {
        variable: _text(getattr(settings, spec.name))
        for spec in option_specs(DetectSettings)
        for variable in spec.fixed_variables
        if spec.name in usual and variable not in usual[spec.name]
    }
    return {**setting_variables(settings), **short}


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
