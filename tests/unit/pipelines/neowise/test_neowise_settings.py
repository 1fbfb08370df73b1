import pytest

from pipelines.neowise.catalogue import PUBLIC_REGION, PUBLIC_ROOT
from pipelines.neowise.settings import Settings
from shared.errors import UsageError
from shared.settings import load_settings


def _load(*argv: str, **environ: str) -> Settings:
    return load_settings(Settings, argv, environ, service="neowise").settings


@pytest.mark.parametrize("text", ["year1,addendum", "year1 addendum", " year1, addendum year1 "])
def test_years_are_read_as_people_write_them(text: str) -> None:
    """Both forms are in shells already; a year is never read twice."""
    assert _load(NEOWISE_YEARS=text).years == ("year1", "addendum")


def test_every_year_of_the_catalogue_is_the_default() -> None:
    """What is left out is never looked at."""
    years = _load().years

    assert years == (*(f"year{number}" for number in range(1, 12)), "addendum")


@pytest.mark.parametrize("year", ["../up", "year1/x", "", ".", "s3://x"])
def test_a_year_is_a_folder_s_name(year: str) -> None:
    """Nothing outside the catalogue's root is read."""
    with pytest.raises(UsageError, match="--years"):
        _load("--years", year)


def test_workers_come_from_the_shell() -> None:
    """The name that people have there."""
    settings = _load(WORKERS="3")

    assert (settings.workers, settings.readers_at_once) == (3, 12)


def test_the_default_is_the_public_catalogue() -> None:
    """Anonymous, and in its own region, wherever the job's bucket is."""
    settings = _load(AWS_DEFAULT_REGION="eu-west-1")

    assert (settings.catalogue, settings.catalogue_region) == (PUBLIC_ROOT, PUBLIC_REGION)
    assert settings.catalogue_anonymous
    assert settings.aws_region == "eu-west-1"


@pytest.mark.parametrize(
    ("flags", "environ", "expected"),
    [
        ([], {}, None),
        ([], {"AWS_ENDPOINT_URL": "http://a"}, "http://a"),
        ([], {"AWS_ENDPOINT_URL": "http://a", "AWS_ENDPOINT_URL_S3": "http://b"}, "http://b"),
        (["--catalogue-endpoint-url", "http://c"], {"AWS_ENDPOINT_URL_S3": "http://b"}, "http://c"),
    ],
)
def test_the_catalogue_s_endpoint_is_the_nearest_word(
    flags: list[str], environ: dict[str, str], expected: str | None
) -> None:
    """The catalogue and the job may lie in two stores."""
    assert _load(*flags).catalogue_endpoint(environ) == expected
