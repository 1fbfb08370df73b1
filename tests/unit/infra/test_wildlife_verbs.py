"""The verbs of wildlife runs and the compose file are what the contract lists."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
VERBS = (
    "up-localstack",
    "down-localstack",
    "deploy-local",
    "run-local",
    "logs-local",
    "status-local",
    "doctor-local",
    "destroy-local",
    "build-docker",
    "deploy-aws",
    "run-aws",
    "test-local",
    "typecheck",
    "schema",
)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_there_says_what_it_does_and_is_no_file(verb: str) -> None:
    """A file of that name would otherwise switch the verb off."""
    text = (ROOT / "make" / "wildlife.mk").read_text()
    [phony] = re.findall(r"(?m)^\.PHONY:((?:.*\\\n)*.*)$", text)

    assert re.search(rf"(?m)^{verb}:.* #: \S", text)
    assert verb in phony.split()


def test_nothing_of_the_persons_own_docker_is_ever_pruned() -> None:
    """What else runs there is none of our business."""
    text = (ROOT / "make" / "wildlife.mk").read_text()

    assert "prune" not in text
    assert "--volumes" not in text


def test_localstack_is_pinned_on_loopback_and_looked_after() -> None:
    """Another version may want a token over night, and nobody else is to reach it."""
    compose = yaml.safe_load((ROOT / "configs" / "localstack" / "compose.yaml").read_text())
    [(name, service)] = compose["services"].items()

    assert name == "localstack"
    assert re.search(
        r"localstack/localstack:\$\{LOCALSTACK_VERSION:-\d+\.\d+\.\d+\}", service["image"]
    )
    assert all(port.startswith("127.0.0.1:45") for port in service["ports"])
    assert "/_localstack/health" in " ".join(service["healthcheck"]["test"])
    assert "batch" in service["environment"]["SERVICES"]
