from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pytest

from pipelines.glacier.dates import Window
from pipelines.glacier.landsat.bucket_access import gdal_path, reading_options
from pipelines.glacier.landsat.credentials import Credentials, parse_credentials
from pipelines.glacier.landsat.credentials_file import load_credentials
from pipelines.glacier.landsat.options import SYNTAX, LandsatOptions, resolve
from pipelines.glacier.lines.line import parse_line
from shared.errors import UsageError
from tests.support.glacier_regions import Row, write_regions

TODAY = date(2026, 1, 31)


@pytest.fixture(scope="module")
def region_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three regions, Jakobshavn among them."""
    names = ("134_Arsuk", "049_jakobshavn", "101_sermiligarssuk")
    return write_regions(tmp_path_factory.mktemp("regions") / "r.gpkg", [Row(n) for n in names])


def read(region_file: Path, *argv: str) -> LandsatOptions:
    """Return what a line means."""
    environ = {"GLACIER_REGION_FILE": str(region_file)}
    return resolve(parse_line(SYNTAX, ["--base_dir", "/out/landsat", *argv]), environ, TODAY)


def test_defaults_are_all_regions_and_all_days(region_file: Path) -> None:
    """The scripts' defaults are what batch jobs of the cluster count on."""
    options = read(region_file)

    assert [region.name for region in options.step.regions] == [
        "049_jakobshavn",
        "101_sermiligarssuk",
        "134_Arsuk",
    ]
    assert options.step.window == Window(date(1970, 1, 1), TODAY)
    assert options.step.stac_url == "https://landsatlook.usgs.gov/stac-server"
    assert (options.limits.covered, options.limits.filled) == (0.05, None)


@pytest.mark.parametrize(
    "argv",
    [
        "-r 134_Arsuk -d1 2024-07-01 -d2 2024-07-05 -it 0.1 -l own.log -t false",
        "--regions 134_Arsuk --date1 2024-07-01 -d2 2024-07-05 --intersect_thresh .1 -l own.log",
        "--start_end_index 2:3 --date1 2024-07-01 --date2 2024-07-05 -it 0.10 -l own.log",
    ],
)
def test_spellings_of_the_first_script_are_read(region_file: Path, argv: str) -> None:
    """Handlers and batch scripts of other projects use them, short and long."""
    options = read(region_file, *argv.split())

    assert [region.name for region in options.step.regions] == ["134_Arsuk"]
    assert options.step.window == Window(date(2024, 7, 1), date(2024, 7, 5))
    assert options.limits.covered == 0.1
    assert options.step.log_path == Path("/out/landsat/own.log")


@pytest.mark.parametrize("argv", ["-t True", "-t t", "--test_run", "-t true -r 134_Arsuk"])
def test_test_run_is_jakobshavn_in_2023_whatever_else_is_given(
    region_file: Path, argv: str
) -> None:
    """It is the run that shows that credentials and network are right."""
    options = read(region_file, *argv.split())

    assert [region.name for region in options.step.regions] == ["049_jakobshavn"]
    assert options.step.window == Window(date(2023, 1, 1), date(2023, 12, 31))


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        ("--download_flag 1", "--download_flag"),
        ("--post_processing_flag 1", "--post_processing_flag"),
        ("--cores 1", "--cores"),
        ("--date1 2024-99-99", "--date1 '2024-99-99' is not valid"),
        ("--date1 2024-05-02 --date2 2024-05-01", "exchange them"),
        ("-it 1.01", "--intersect_thresh '1.01' is not valid; allowed: a number from 0 to 1"),
        ("-it nan", "--intersect_thresh 'nan' is not valid"),
        ("--min-coverage -1", "--min-coverage"),
        ("--test_run maybe", "--test_run 'maybe' is not valid"),
        ("--regions 134_arsuk", "did you mean '134_Arsuk'"),
        ("--start_end_index 3:1", "--start_end_index '3:1' is not valid"),
        ("--stac_url ftp://a", "--stac_url 'ftp://a' is not valid"),
    ],
)
def test_bad_line_is_refused_with_its_value(region_file: Path, argv: str, told: str) -> None:
    """The first script took most of these, and failed or ran on something else later."""
    with pytest.raises(UsageError) as raised:
        read(region_file, *argv.split())

    assert told in str(raised.value)


@pytest.mark.parametrize(
    "content",
    [
        b"Access key ID,Secret access key\nAKIAEXAMPLE,secret/one\n",
        b"\xef\xbb\xbfAccess key ID,Secret access key\r\nAKIAEXAMPLE,secret/one\r\n",
        b'User name,"Access key ID","Secret access key"\nme,AKIAEXAMPLE, secret/one \n',
        b"Access key ID,Secret access key\nAKIAEXAMPLE,secret/one\nAKIASECOND,two\n",
    ],
)
def test_key_is_read_from_the_file_that_the_console_offers(content: bytes) -> None:
    """The console's file begins with a byte order mark, and some have more columns."""
    assert parse_credentials(content) == Credentials("AKIAEXAMPLE", "secret/one")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"Access key ID,Secret access key\n",
        b"Access key ID,Secret access key\nAKIAEXAMPLE\n",
        b"Key,Secret\nAKIAEXAMPLE,hidden\n",
        b"Access key ID,Secret access key\nAKIAEXAMPLE,hid\x00den\n",
        b"\xff\xfe\x00",
        b'Access key ID,Secret access key\n"AKIAEXAMPLE,hidden\n',
    ],
)
def test_file_without_a_key_is_refused_and_its_content_not_told(
    tmp_path: Path, content: bytes
) -> None:
    """A run with somebody else's key would be paid by them; a secret has no place in a log."""
    (tmp_path / "AWS_user_credentials.csv").write_bytes(content)

    with pytest.raises(UsageError) as raised:
        load_credentials(tmp_path)

    assert "AWS_user_credentials.csv" in str(raised.value)
    assert "hid" not in str(raised.value)
    assert "AKIA" not in str(raised.value)


def test_no_file_means_the_default_chain(tmp_path: Path) -> None:
    """In the cloud the key comes from the role, and there is no file."""
    options = reading_options(
        {"AWS_ACCESS_KEY_ID": "of the environment"}, load_credentials(tmp_path)
    )

    assert not {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} & set(options)


def test_key_of_the_file_comes_without_the_token_of_another() -> None:
    """A token belongs to its own key; with another's, every request is refused."""
    options = reading_options({"AWS_SESSION_TOKEN": "old"}, Credentials("key", "secret"))

    assert options["AWS_ACCESS_KEY_ID"] == "key"
    assert options["AWS_SECRET_ACCESS_KEY"] == "secret"
    assert options["AWS_SESSION_TOKEN"] == ""
    assert "secret" not in repr(Credentials("key", "secret"))


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, {"AWS_REGION": "us-west-2"}),
        ({"AWS_DEFAULT_REGION": "eu-west-1"}, {"AWS_REGION": "eu-west-1"}),
        ({"AWS_REGION": "eu-west-1"}, {}),
        (
            {"AWS_REGION": "a", "AWS_ENDPOINT_URL": "http://127.0.0.1:9/"},
            {
                "AWS_S3_ENDPOINT": "127.0.0.1:9",
                "AWS_HTTPS": "NO",
                "AWS_VIRTUAL_HOSTING": "FALSE",
            },
        ),
        (
            {
                "AWS_REGION": "a",
                "AWS_ENDPOINT_URL": "http://no",
                "AWS_ENDPOINT_URL_S3": "https://s3.example",
            },
            {"AWS_S3_ENDPOINT": "s3.example", "AWS_HTTPS": "YES", "AWS_VIRTUAL_HOSTING": "FALSE"},
        ),
        ({"AWS_REGION": "a", "AWS_ENDPOINT_URL": "http://no", "AWS_S3_ENDPOINT": "own"}, {}),
        ({"AWS_REGION": "a", "GDAL_HTTP_MAX_RETRY": "9"}, {"GDAL_HTTP_MAX_RETRY": "9"}),
    ],
)
def test_gdal_is_told_endpoint_and_region_in_its_own_words(
    environ: Mapping[str, str], expected: Mapping[str, str]
) -> None:
    """GDAL does not know AWS's variables: it would ask the real bucket, or the wrong region."""
    always = reading_options({"AWS_REGION": "a"}, None)

    options = reading_options(environ, None)

    assert options == {**always, **expected}
    assert options["AWS_REQUEST_PAYER"] == "requester"
    assert gdal_path("s3://usgs-landsat/a/b.TIF") == "/vsis3/usgs-landsat/a/b.TIF"
