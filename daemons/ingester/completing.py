"""Settings as every command of the ingester means them: with the project's own word on the log."""

from daemons.ingester.project.files import read_variables
from daemons.ingester.project.sites import choose_sites, load_sites
from daemons.ingester.settings import Settings, plain_level
from shared.errors import UsageError
from shared.settings import Loaded
from shared.templates import check_template

_LEVELS = frozenset({"debug", "info", "warning", "error"})


def complete(loaded: Loaded[Settings]) -> Settings:
    """Take the log's level out of the project's `.env.local`, which only a flag beats.

    Raises:
        UsageError: this, or what the model cannot judge by itself, is wrong.
    """
    settings = loaded.settings
    _check(settings)
    if loaded.origins["sites"].source == "flag":
        _check_sites(settings)
    if loaded.origins["log_level"].source == "flag":
        return settings
    path = settings.root / ".env.local"
    written = read_variables(path).get("LOG_LEVEL", "")
    if not written:
        return settings
    level = plain_level(written)
    if level not in _LEVELS:
        raise UsageError(
            f"LOG_LEVEL={written!r} in {str(path)!r} is not valid; "
            "allowed: trace, debug, info, warn, error"
        )
    return settings.model_copy(update={"log_level": level})


def _check_sites(settings: Settings) -> None:
    """Refuse a site on the line that nobody knows; UsageError.

    Who mistypes one sees it at once: it is no run that failed. In the file nobody would see it, and
    a project that has no sites is more than a mistyped name: both are left to the run, which keeps
    that it could not begin.
    """
    try:
        found = load_sites(settings.root)
    except UsageError:
        return
    choose_sites(found, settings.sites)


def _check(settings: Settings) -> None:
    """Refuse what the model cannot judge by itself; UsageError."""
    command = settings.index_command
    if settings.index_mode == "local" and not command:
        raise UsageError("--index-mode local needs --index-command, the program that builds it")
    try:
        check_template(command or ("none",), ("site", "root", "index"))
    except ValueError as error:
        raise UsageError(f"--index-command: {error}") from None
