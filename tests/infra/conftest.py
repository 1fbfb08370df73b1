"""The stacks, synthesised once: as the sample names them, and with everything the other way."""

import importlib.util
from pathlib import Path

import pytest

from infra.settings import InfraSettings, load_infra_settings
from tests.support.stacks import VARIANT, Synthesised, Template, synthesise_stacks

SAMPLE = Path(__file__).resolve().parents[2] / "infra" / "config.toml"

# CDK has an environment of its own: .venv-infra/bin/python -m pytest tests/infra.
collect_ignore_glob = [] if importlib.util.find_spec("aws_cdk") else ["test_*.py"]


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Synthesised:
    """What `make synth` writes."""
    return synthesise_stacks(load_infra_settings(SAMPLE), tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="session")
def variant(tmp_path_factory: pytest.TempPathFactory) -> Synthesised:
    """What the settings allow, the other way."""
    return synthesise_stacks(
        InfraSettings.model_validate(VARIANT), tmp_path_factory.mktemp("variant")
    )


@pytest.fixture(params=["sample", "variant"])
def both(request: pytest.FixtureRequest) -> Synthesised:
    """Each of the two settings files."""
    found: Synthesised = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=["coordinator", "watchers"])
def template(both: Synthesised, request: pytest.FixtureRequest) -> Template:
    """Each of their two stacks."""
    found: Template = getattr(both, request.param)
    return found
