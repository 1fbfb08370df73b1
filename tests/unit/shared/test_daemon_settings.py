from typing import Annotated

from pydantic import Field

from shared.daemon_settings import REGION_PATTERN, DaemonSettings
from shared.engine import engine_options
from shared.flags import build_parser
from shared.options import Option, option_specs
from shared.settings import load_settings


class Settings(DaemonSettings):
    """Carry things along."""

    bucket: Annotated[str, Option(env="BUCKET")] = Field(description="Where to")
    aws_region: Annotated[
        str,
        Option(flag="--region", short="-r", env=("AWS_DEFAULT_REGION", "AWS_REGION"), group="AWS"),
    ] = Field(default="us-west-2", pattern=REGION_PATTERN, description="Region to ask first")


def region(environ: dict[str, str]) -> str:
    """Load from an environment."""
    loaded = load_settings(Settings, ["--bucket", "b"], environ, service="carrier")
    return loaded.settings.aws_region


def test_what_is_a_daemons_own_comes_first() -> None:
    """What a person looks for in --help is what this daemon does, not how all of them log."""
    names = [spec.name for spec in option_specs(Settings)]

    assert names[:3] == ["bucket", "aws_region", "requests_in_flight"]
    assert names.index("log_level") > names.index("grace_seconds") > 2
    assert sorted(names) == sorted(set(names)) == sorted(Settings.model_fields)


def test_the_strongest_of_two_fixed_variables_decides() -> None:
    """People have one name or the other in their shells, and some have both."""
    assert region({}) == "us-west-2"
    assert region({"AWS_REGION": "eu-north-1"}) == "eu-north-1"
    assert region({"AWS_REGION": "eu-north-1", "AWS_DEFAULT_REGION": "us-east-1"}) == "us-east-1"
    assert region({"TOWPATH_CARRIER_AWS_REGION": "sa-east-1"}) == "sa-east-1"


def test_help_names_the_variable_that_is_asked_first() -> None:
    """The first of several names is the one to show."""
    parser = build_parser(option_specs(Settings), "carrier", description="", extra=None)

    assert "variable AWS_DEFAULT_REGION" in parser.format_help()


def test_engine_is_opened_as_the_settings_say() -> None:
    """A word that is lost between settings and S3 would be asked for in vain."""
    settings = Settings(
        bucket="b",
        aws_region="eu-north-1",
        profile="me",
        endpoint_url="http://127.0.0.1:1",
        requests_in_flight=7,
    )

    options = engine_options(settings)

    assert (options.aws_region, options.profile) == ("eu-north-1", "me")
    assert (options.endpoint_url, options.in_flight) == ("http://127.0.0.1:1", 7)
