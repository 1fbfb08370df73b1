"""Bad input: what is said of it, and the exit status."""

from pathlib import Path

import pytest

from tests.support.glacier_command import Submit, submit_in


@pytest.fixture
def submit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Submit:
    """The command, in a project."""
    return submit_in(tmp_path, monkeypatch, capsys)


_GOOD = ("--regions", "134_Arsuk")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--date1", "2024-99-99"], "--date1 '2024-99-99' is not valid; allowed: a date"),
        (["--date1", "2024-05-08"], "date1 '2024-05-08' is after date2 '2024-05-07'"),
        (["--date1", "2024-05-04", "--start-date", "2024-05-05"], "contradict each other"),
        (["--date1", "2024-05-04", "--date1", "2024-05-05"], "--date1 is given more than once"),
        (["--satellite", "modis"], "allowed: one of sentinel2, landsat"),
        (["--service", "ec2"], "allowed: one of lambda, batch, ecs, fargate, auto"),
        (["--regions", "134_arsuk"], "did you mean '134_Arsuk'?"),
        (["--regions", " , "], "--regions names no region"),
        (["--region", "134_Arsuk,049_jakobshavn"], "--region '134_Arsuk,049_jakobshavn'"),
        ([*_GOOD, "--region", "049_jakobshavn"], "contradict each other"),
        ([*_GOOD, "--start-end-index", "0:5"], "exclude each other"),
        ([*_GOOD, "--all"], "exclude each other"),
        (["--start-end-index", "5"], "--start-end-index '5' is not valid"),
        (["--start-end-index", "7:7"], "--start-end-index '7:7' is not valid"),
        (["--start-end-index=-1:3"], "--start-end-index '-1:3' is not valid"),
        (["--start-end-index", "-1:3"], "--start-end-index '-1:3' is not valid"),
        (["--start-end-index", "200:"], "index '200:' holds no region"),
        (["--regions", "090_petermann"], "'090_petermann' has 4"),
        (["--chunk-days", "-1"], "--chunk-days '-1' is not valid"),
        (["--chunk-days=x"], "--chunk-days 'x' is not valid"),
        (["--cores", "0"], "--cores '0' is not valid"),
        (["--download-flag", "true"], "--download-flag 'true' is not valid; allowed: 0 or 1"),
        (["--layout", "flat"], "--layout 'flat' is not valid"),
        (["--s3-bucket", "My_Bucket"], "--s3-bucket 'My_Bucket' is not valid"),
        (["--s3-bucket", "my..bucket"], "--s3-bucket 'my..bucket' is not valid"),
        (["--s3-bucket", "192.168.0.1"], "--s3-bucket '192.168.0.1' is not valid"),
        (["--project", ""], "--project '' is not valid; allowed: a path"),
        (["--aws-region", "oregon"], "--aws-region 'oregon' is not valid"),
        (["--max-concurrency", "0"], "--max-concurrency '0' is not valid"),
        (["--endpoint-url", "localhost"], "--endpoint-url 'localhost' is not valid"),
        (["--dry-run", "perhaps"], "--dry-run 'perhaps' is not valid; allowed: true or false"),
        (["--output", "xml"], "--output 'xml' is not valid"),
        (["--config", "missing.ini"], "--config 'missing.ini' is not there"),
        (["--aws-config", "missing.ini"], "--aws-config 'missing.ini' is not there"),
        (["--project", "missing"], "--project 'missing' is no folder"),
        (["--region-file", "missing.gpkg"], "region file 'missing.gpkg' is not there"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
        (["--dry", "true"], "unrecognized arguments: --dry true"),
        (["--dry-run", "false", "--start-end-index", "0:0"], "is not valid"),
    ],
)
def test_bad_input_ends_with_2_and_says_what(submit: Submit, argv: list[str], said: str) -> None:
    """Nothing is planned or sent, stdout stays empty, and every line names its command."""
    status, out, err = submit(*argv)

    assert (status, out) == (2, "")
    assert said in err
    assert all(line.startswith("towpath glacier submit: ") for line in err.splitlines())


@pytest.mark.parametrize(
    ("file", "text", "argv", "said"),
    [
        ("aws", "[LAMBDA]\nmemory_size = 5 GB\n", [], "[LAMBDA] memory_size = '5 GB'"),
        ("aws", "[LAMBDA]\ntimeout = 901\n", ["--service", "batch"], "timeout = '901'"),
        ("aws", "", ["--service", "fargate"], "[FARGATE] fargate_subnets is required"),
        (
            "aws",
            "[FARGATE]\nfargate_subnets = s-1\nfargate_cpu = 256\nfargate_memory = 4096\n",
            ["--service", "fargate"],
            "4096 MB with 256 CPU units; allowed: 512, 1024, 2048",
        ),
        ("config", "[DATES]\ndate1 = 2024-02-30\n", [], "[DATES] date1 = '2024-02-30'"),
        ("config", "[SETTINGS]\nsatellite = S2\n", [], "[SETTINGS] satellite = 'S2'"),
        ("config", "[SETTINGS]\ndry_run = true\n", [], "satellite is required"),
        ("config", "[SETTINGS]\nsatellite = landsat\n", [], "date1 is required"),
        (
            "config",
            "[DATES]\ndate1 = 2024-05-01\nstart_date = 2024-05-02\ndate2 = 2024-05-03\n",
            ["--satellite", "landsat"],
            "contradict each other",
        ),
        ("config", "satellite = landsat\n", [], "stands before any [SECTION]"),
    ],
)
def test_a_bad_file_ends_with_2_and_names_it(
    submit: Submit, tmp_path: Path, file: str, text: str, argv: list[str], said: str
) -> None:
    """The place to mend is in the line."""
    path = tmp_path / ("config.ini" if file == "config" else "aws/config/aws_config.ini")
    path.write_text(text)

    status, out, err = submit(*argv)

    assert (status, out) == (2, "")
    assert said in err
    assert str(path) in err


def test_a_key_in_a_wrong_section_is_told_beside_what_is_missed(
    submit: Submit, tmp_path: Path
) -> None:
    """The date is there, a line says that it is required, and nothing says why."""
    (tmp_path / "config.ini").write_text("[dates]\ndate1 = 2024-05-04\n")

    _, _, err = submit("--satellite", "landsat", "--date2", "2024-05-07")

    assert "date1 is required" in err
    assert "warning: " in err
    assert "[dates] date1 is not known and not used; did you mean [DATES] date1?" in err


def test_a_file_that_cannot_be_read_lacks_nothing(submit: Submit, tmp_path: Path) -> None:
    """Whoever mends the line that is wrong would look for values that stand there."""
    (tmp_path / "config.ini").write_text("[DATES]\ndate1 = 2024-05-04\nnonsense\n")

    status, _, err = submit()

    assert status == 2
    assert "line 3: 'nonsense' is neither" in err
    assert "required" not in err


def test_a_folder_in_the_place_of_a_file_is_not_passed_over(submit: Submit, tmp_path: Path) -> None:
    """A mount that failed leaves one, and the defaults are somebody else's bucket."""
    path = tmp_path / "aws/config/aws_config.ini"
    path.unlink()
    path.mkdir()

    status, _, err = submit()

    assert status == 2
    assert f"configuration file '{path}' is no file" in err


def test_all_mistakes_are_told_at_once(submit: Submit, tmp_path: Path) -> None:
    """One round of corrections."""
    (tmp_path / "config.ini").write_text("[SETTINGS]\ncores = none\n[DATES]\ndate2 = x\n")

    status, _, err = submit("--service", "fargate")

    assert status == 2
    assert [line.count("; ") for line in err.splitlines()] == [1] * 5
    assert all(word in err for word in ("cores", "date2", "satellite", "date1", "no region"))
