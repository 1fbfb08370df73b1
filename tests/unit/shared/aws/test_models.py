"""Descriptions of services: what botocore reads, without looking at all that it could read."""

import json
from pathlib import Path

import pytest
from botocore.exceptions import DataNotFoundError, UnknownServiceError
from botocore.loaders import create_loader

from shared.aws.clients import ClientPool, ClientSettings
from shared.aws.models import ModelFiles, ServiceModels

DESCRIPTION = {"metadata": {"serviceId": "Carrier"}, "operations": {"b": {}, "a": {}}}


@pytest.fixture
def own_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have `~/.aws/models` elsewhere."""
    monkeypatch.setattr(ServiceModels, "CUSTOMER_DATA_PATH", str(tmp_path))
    return tmp_path


def describe(folder: Path, version: str) -> None:
    """Lay a description of a service that nobody else knows."""
    path = folder / "carrier" / version / "service-2.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(DESCRIPTION | {"version": version}))


def test_descriptions_are_those_of_botocore() -> None:
    """One operation read otherwise, or in another order, is another request."""
    ours, theirs = ServiceModels(), create_loader()

    for kind in ("service-2", "endpoint-rule-set-1"):
        found = ours.load_service_model("lambda", kind)
        assert json.dumps(found) == json.dumps(theirs.load_service_model("lambda", kind))
    assert json.dumps(ours.load_data("endpoints")) == json.dumps(theirs.load_data("endpoints"))


def test_services_of_others_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two thousand files looked for were half of the opening of S3."""
    looked_for: list[str] = []

    def exists(_self: object, path: str) -> bool:
        looked_for.append(path)
        return Path(f"{path}.json.gz").exists()

    monkeypatch.setattr(ModelFiles, "exists", exists)

    ServiceModels().load_service_model("sts", "service-2")

    assert looked_for
    assert all("/sts/" in path for path in looked_for)


def test_models_of_the_user_are_read(own_models: Path) -> None:
    """Whoever has put a service into `~/.aws/models` finds it, the latest version first."""
    describe(own_models, "2024-01-01")
    describe(own_models, "2024-11-05")

    found = ServiceModels().load_service_model("carrier", "service-2")

    assert found["version"] == "2024-11-05"
    assert list(found["operations"]) == ["b", "a"]


@pytest.mark.parametrize(
    ("service", "kind", "expected"),
    [("nosuch", "service-2", UnknownServiceError), ("carrier", "waiters-2", DataNotFoundError)],
)
def test_what_is_not_there_is_said(
    own_models: Path, service: str, kind: str, expected: type[Exception]
) -> None:
    """A misspelt service fails with its name, not with an empty description."""
    describe(own_models, "2024-01-01")

    with pytest.raises(expected, match=service):
        ServiceModels().load_service_model(service, kind)


@pytest.mark.asyncio
async def test_clients_are_made_of_them() -> None:
    """Nothing would break without it, and every start would take a tenth of a second more."""
    pool = ClientPool(ClientSettings(aws_region="eu-west-1"))

    loader = pool._session.get_component("data_loader")
    await pool.aclose()

    assert isinstance(loader, ServiceModels)


def test_a_closed_home_has_no_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit without a home of its own may not even look whether there are any."""

    def closed(self: Path) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    real = Path.iterdir
    monkeypatch.setattr(
        Path, "iterdir", lambda path: closed(path) if ".aws" in path.parts else real(path)
    )

    assert "sts" in ServiceModels().list_available_services("service-2")
