"""What judges the templates really judges them, and the asset is what it says."""

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from infra.app import checked_app, synthesise
from infra.assets import REQUIREMENTS, build_bundle
from infra.rendered import user_data_of
from shared.errors import PermanentError, UsageError
from tests.support.stacks import ACCOUNT, Synthesised

LINT = Path(sys.executable).parent / "cfn-lint"


def test_a_finding_of_cdk_nag_fails_the_synthesis(tmp_path: Path) -> None:
    """A check that finds nothing in a bucket without any protection would find nothing at all."""
    import aws_cdk  # noqa: PLC0415 - only where its environment is
    from aws_cdk import aws_s3  # noqa: PLC0415 - the same

    app = checked_app(tmp_path)
    aws_s3.Bucket(aws_cdk.Stack(app, "Careless"), "Open")

    with pytest.raises(PermanentError, match=r"infra/acknowledged\.py"):
        synthesise(app)


def test_cfn_lint_finds_nothing(sample: Synthesised, variant: Synthesised) -> None:
    """What CloudFormation would refuse, or regret, is known before it is asked."""
    # The glacier stack is the largest by far, and its variant has nothing that the sample has not.
    judged = (*sample.all, variant.coordinator, variant.watchers)
    templates = [str(stack.path) for stack in judged]

    done = subprocess.run(
        [LINT, "--ignore-checks", "W3005", "--", *templates],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.stdout == ""
    assert done.returncode == 0, done.stderr


def test_the_same_tree_gives_the_same_asset(tmp_path: Path) -> None:
    """Else every deployment would send it anew, and every machine would install it anew."""
    requirements = REQUIREMENTS / "runtime.txt"

    first = build_bundle(tmp_path / "a", requirements=requirements)
    second = build_bundle(tmp_path / "b", requirements=requirements)

    assert first.sha256 == second.sha256
    with zipfile.ZipFile(first.path) as archive:
        names = archive.namelist()
        assert archive.read("requirements.txt") == requirements.read_bytes()
    assert sorted(names) == names
    assert [name.rpartition(".")[2] for name in names] == ["txt", "whl"]


def test_wheels_can_be_taken_along(tmp_path: Path) -> None:
    """Machines that reach no package index install from the asset alone."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    with pytest.raises(UsageError, match=r"holds no wheel"):
        build_bundle(tmp_path, requirements=REQUIREMENTS / "runtime.txt", wheels=wheels)
    (wheels / "anyio-1-py3-none-any.whl").write_bytes(b"wheel")

    bundle = build_bundle(tmp_path, requirements=REQUIREMENTS / "runtime.txt", wheels=wheels)

    with zipfile.ZipFile(bundle.path) as archive:
        assert archive.read("wheels/anyio-1-py3-none-any.whl") == b"wheel"


def test_an_instance_checks_the_asset_that_lies_in_the_assembly(sample: Synthesised) -> None:
    """The sum in the script is that of the very object that is uploaded."""
    for template in (sample.coordinator, sample.watchers):
        script = user_data_of(template.document, ACCOUNT)
        told = dict(
            line.removeprefix("readonly ").split("=", 1)
            for line in script.splitlines()
            if line.startswith("readonly asset_")
        )
        asset = sample.folder / f"asset.{told['asset_key']}"

        assert hashlib.sha256(asset.read_bytes()).hexdigest() == told["asset_sha256"]
