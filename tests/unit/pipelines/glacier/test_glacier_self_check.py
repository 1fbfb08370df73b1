"""What an image proves of itself, and what it is started with."""

import subprocess
from pathlib import Path

import pytest

from pipelines.glacier.deploy.docker.build_context import SOURCE
from pipelines.glacier.image import self_check
from pipelines.glacier.image.self_check import CheckFailed
from tests.support.glacier_regions import REGION_FILE, write_project

_ENTRY = SOURCE / "pipelines/glacier/image/entry.sh"
_PYTHON = """#!/bin/sh
echo "$@"
"""


def test_the_environment_warps_and_has_the_verified_versions() -> None:
    """Golden rasters hold for one pair of GDAL and rasterio."""
    assert "GDAL 3.10.3, rasterio 1.4.4" in self_check.check_versions()
    assert "EPSG:3413" in self_check.check_warp()


def test_another_pair_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It needs the golden rasters to pass first."""
    monkeypatch.setattr(self_check, "GDAL_VERSION", "3.12.4")

    with pytest.raises(CheckFailed, match=r"3\.12\.4"):
        self_check.check_versions()


def test_the_regions_must_be_there(tmp_path: Path) -> None:
    """Without them every run ends at its first question."""
    write_project(tmp_path)

    with pytest.raises(CheckFailed, match="GLACIER_REGION_FILE"):
        self_check.check_regions({})

    said = self_check.check_regions({"GLACIER_REGION_FILE": str(tmp_path / REGION_FILE)})
    assert said.startswith("192 in ")


@pytest.mark.parametrize(
    "name",
    [
        "app/config.ini",
        "project/aws/config/aws_config.ini",
        "project/a/my_credentials.csv",
        "app/.env",
        "app/.git",
    ],
)
def test_no_settings_and_no_credentials_are_in_an_image(tmp_path: Path, name: str) -> None:
    """Whoever may pull it reads them."""
    path = tmp_path / "opt/glacier" / name
    path.parent.mkdir(parents=True)
    path.touch()

    with pytest.raises(CheckFailed, match="is in the image"):
        self_check.check_settings(tmp_path)


def test_a_check_that_fails_is_1_and_the_others_are_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One build shall say everything that is wrong."""
    monkeypatch.setattr(self_check, "ENTRY_MODULES", ("no_such_module",))
    monkeypatch.delenv("GLACIER_REGION_FILE", raising=False)

    status = self_check.main()

    words = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert (status, words) == (1, ["ok", "failed", "failed", "ok", "ok"])


@pytest.mark.parametrize(
    ("arguments", "api", "started"),
    [
        (["lambda_handler.handler"], "127.0.0.1:1", "-m awslambdaric lambda_handler.handler"),
        ([], "127.0.0.1:1", "-m awslambdaric lambda_handler.handler"),
        (["other.handler"], "127.0.0.1:1", "-m awslambdaric other.handler"),
        (["lambda_handler.handler"], "", "-m pipelines.glacier.run.runner"),
        (["runner"], "127.0.0.1:1", "-m pipelines.glacier.run.runner"),
        (["self-check"], "", "-m pipelines.glacier.image.self_check"),
    ],
)
def test_an_image_has_two_ways_in(
    tmp_path: Path, arguments: list[str], api: str, started: str
) -> None:
    """The same image is a function and a task; where it is decides."""
    (tmp_path / "python").write_text(_PYTHON)
    (tmp_path / "python").chmod(0o755)

    done = subprocess.run(
        ["/bin/sh", str(_ENTRY), *arguments],
        env={"PATH": str(tmp_path), "AWS_LAMBDA_RUNTIME_API": api},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )

    assert done.stdout.strip() == started
