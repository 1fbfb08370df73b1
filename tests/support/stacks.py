"""Synthesised stacks as the tests see them; importing this needs nothing of CDK."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.settings import InfraSettings

ACCOUNT = {"AWS::AccountId": "123456789012"}
"""What the references of a template stand for."""
VARIANT: Mapping[str, object] = {
    "coordinator": {
        "region": "us-east-1",
        "instance_types": ["m7i.large", "c7i.large"],
        "spot": False,
        "image": "ami-0123456789abcdef0",
        "keep_volume": False,
        "run_as": "ec2-user",
        "success_minutes": 0,
        "alarm_email": "someone@example.org",
        "network": {"vpc": "vpc-01234567", "subnets": ["subnet-1"], "zones": ["us-east-1a"]},
        "settings": {"acl": "bucket-owner-full-control"},
        "buckets": [
            {"name": "colony-shots", "create": True, "abort_uploads_after_days": 3},
            {"name": "colony-stats"},
        ],
    },
    "watchers": {
        "instances": 2,
        "instances_at_most": 8,
        "watchers_per_instance": 3,
        "bucket": {"name": "hand-shake", "create": True, "expire_collected_after_days": 90},
    },
    "glacier": {
        "spot": False,
        "instance_types": ["m6i.xlarge"],
        "fargate_cpu": 2048,
        "fargate_memory": 8192,
        "network": {
            "vpc": "vpc-01234567",
            "subnets": ["subnet-01234567"],
            "zones": ["us-west-2a"],
        },
        "budget_usd": 0,
        "bucket": {"name": "glacier-results"},
    },
    "wildlife": {
        "environment": "prod",
        "audit_bucket": "none",
        "bucket": {
            "name": "camera-traps",
            "kms_key": "arn:aws:kms:eu-north-1:123456789012:key/1a2b",
        },
        "network": {
            "vpc": "vpc-01234567",
            "subnets": ["subnet-01234567"],
            "zones": ["eu-north-1a"],
        },
        "budget_usd": 0,
        "settings": {
            "detector": "http",
            "model_uri": "https://detector.invalid/detect",
            "clocks_uri": "s3://camera-traps/metadata/exif_corrections/",
            "weather": ["frost", "smhi"],
            "weather_contact": "someone@trap.no",
            "include_humans": True,
        },
    },
}


@dataclass(frozen=True, slots=True)
class Template:
    """A synthesised template."""

    path: Path
    document: Mapping[str, Any]

    def of(self, kind: str) -> list[Mapping[str, Any]]:
        """Return the properties of all resources of a type."""
        return [one.get("Properties", {}) for one in self.resources(kind)]

    def only(self, kind: str) -> Mapping[str, Any]:
        """Return the properties of the one resource of a type."""
        [one] = self.of(kind)
        return one

    def resources(self, kind: str) -> list[Mapping[str, Any]]:
        """Return all resources of a type, with what stands beside their properties."""
        return [one for one in self.document["Resources"].values() if one["Type"] == kind]

    def statements(self) -> list[Mapping[str, Any]]:
        """Return what the machines' role may do."""
        policies = [
            policy
            for policy in self.of("AWS::IAM::Policy")
            if "Rights" in str(policy["PolicyName"])
        ]
        [policy] = policies
        return list(policy["PolicyDocument"]["Statement"])


@dataclass(frozen=True, slots=True)
class Synthesised:
    """The stacks of one settings file."""

    folder: Path
    coordinator: Template
    watchers: Template
    glacier: Template
    wildlife: Template

    @property
    def all(self) -> tuple[Template, ...]:
        """Return every template."""
        return self.coordinator, self.watchers, self.glacier, self.wildlife


def synthesise_stacks(settings: InfraSettings, folder: Path) -> Synthesised:
    """Synthesise the stacks, judged by cdk-nag; takes seconds."""
    from infra.node import use_bundled_node  # noqa: PLC0415 - before anything of CDK

    use_bundled_node()
    from infra.app import (  # noqa: PLC0415 - the same
        COORDINATOR,
        GLACIER,
        WATCHERS,
        WILDLIFE,
        build_app,
        synthesise,
    )

    synthesise(build_app(settings, output=folder, bundles=folder / "bundles"))
    wildlife = f"{WILDLIFE}-{settings.wildlife.environment}" if settings.wildlife else ""
    stacks = (COORDINATOR, WATCHERS, GLACIER, wildlife)
    return Synthesised(folder, *(read_template(folder, stack) for stack in stacks))


def read_template(folder: Path, stack: str) -> Template:
    """Return a stack's template out of a folder that was synthesised to."""
    path = folder / f"{stack}.template.json"
    return Template(path, json.loads(path.read_text(encoding="utf-8")))
