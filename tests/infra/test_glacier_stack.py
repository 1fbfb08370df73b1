"""What runs glacier regions: bounded, kept where it must be, named as submissions expect."""

import json
from pathlib import Path
from typing import Any

import pytest

from infra.settings import load_infra_settings
from pipelines.glacier.deploy.permissions.policies import layer_objects
from tests.support.stacks import Synthesised, Template

SAMPLE = Path(__file__).resolve().parents[2] / "infra" / "config.toml"
_PINNED_BY_CONDITION = {
    "AWS::Batch::JobDefinition",
    "AWS::ECS::TaskDefinition",
    "AWS::Lambda::Alias",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::Function",
    "AWS::Lambda::Version",
}


@pytest.fixture
def glacier(sample: Synthesised) -> Template:
    """The stack as the sample names it."""
    return sample.glacier


def _rights(template: Template, role: str) -> dict[str, Any]:
    [policy] = [
        each for each in template.of("AWS::IAM::Policy") if str(each["PolicyName"]).startswith(role)
    ]
    return {one["Sid"]: one for one in policy["PolicyDocument"]["Statement"]}


def test_the_bucket_outlives_the_stack_and_keeps_versions(glacier: Template) -> None:
    """A year of results must not go with a stack, nor by one wrong sync."""
    [bucket] = glacier.resources("AWS::S3::Bucket")
    rules = {one["Id"]: one for one in bucket["Properties"]["LifecycleConfiguration"]["Rules"]}

    assert bucket["DeletionPolicy"] == bucket["UpdateReplacePolicy"] == "Retain"
    assert bucket["Properties"]["VersioningConfiguration"] == {"Status": "Enabled"}
    assert rules["expire-former-versions"]["NoncurrentVersionExpiration"]["NoncurrentDays"] == 90


def test_the_function_has_the_room_that_runs_need(glacier: Template) -> None:
    """With the service's own defaults runs die of storage, memory and time."""
    function = glacier.only("AWS::Lambda::Function")
    sizes = function["MemorySize"], function["Timeout"], function["EphemeralStorage"]["Size"]
    groups = {
        one["LogGroupName"]: one
        for one in glacier.of("AWS::Logs::LogGroup")
        if "LogGroupName" in one
    }

    assert sizes == (10_240, 900, 10_240)
    assert function["PackageType"] == "Image"
    assert glacier.only("AWS::Lambda::Alias")["Name"] == "live"
    assert groups[f"/aws/lambda/{function['FunctionName']}"]["RetentionInDays"] == 30


def test_what_needs_an_image_waits_for_one(glacier: Template) -> None:
    """The repository is made by the same stack: the first deployment has nothing to run yet."""
    conditioned = {
        each["Type"] for each in glacier.document["Resources"].values() if "Condition" in each
    }
    pattern = glacier.document["Parameters"]["ImageUri"]["AllowedPattern"]

    assert conditioned == _PINNED_BY_CONDITION
    assert "@sha256:" in pattern, "an image is named by its digest, never by a tag"


def test_an_asynchronous_call_that_failed_is_told(glacier: Template) -> None:
    """The submitter does not hold a connection: nobody else would hear of it."""
    for each in glacier.of("AWS::Lambda::EventInvokeConfig"):
        assert each["MaximumRetryAttempts"] == 2
        assert each["DestinationConfig"]["OnFailure"]["Destination"] == {
            "Ref": next(
                name
                for name, one in glacier.document["Resources"].items()
                if one["Type"] == "AWS::SNS::Topic"
            )
        }
    assert {each["Qualifier"] for each in glacier.of("AWS::Lambda::EventInvokeConfig")} == {
        "$LATEST",
        "live",
    }


def test_spare_capacity_comes_first_and_then_what_is_always_there(
    sample: Synthesised, variant: Synthesised
) -> None:
    """Where there is no spot capacity for hours, the jobs of a night would wait for it."""

    def kinds(template: Template) -> list[tuple[str, str]]:
        return [
            (one["ComputeResources"]["Type"], one["ComputeResources"]["AllocationStrategy"])
            for one in template.of("AWS::Batch::ComputeEnvironment")
        ]

    queue = sample.glacier.only("AWS::Batch::JobQueue")
    first, second = (
        each["ComputeEnvironment"]["Fn::GetAtt"][0] for each in queue["ComputeEnvironmentOrder"]
    )

    assert kinds(sample.glacier) == [
        ("SPOT", "SPOT_PRICE_CAPACITY_OPTIMIZED"),
        ("EC2", "BEST_FIT_PROGRESSIVE"),
    ]
    assert first.startswith("EnvironmentSpot")
    assert second.startswith("EnvironmentOnDemand")
    assert kinds(variant.glacier) == [("EC2", "BEST_FIT_PROGRESSIVE")]


def test_a_container_does_not_get_at_its_instances_role(glacier: Template) -> None:
    """It acts as the role of its job, which may do much less."""
    [data] = [one["LaunchTemplateData"] for one in glacier.of("AWS::EC2::LaunchTemplate")]

    assert data["MetadataOptions"] == {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}
    assert data["BlockDeviceMappings"][0]["Ebs"]["Encrypted"] is True


def test_images_can_be_pulled_through_the_networks_way_to_s3(glacier: Template) -> None:
    """Without the registry's own bucket every pull is answered 403."""
    endpoint = glacier.only("AWS::EC2::VPCEndpoint")["PolicyDocument"]["Statement"]
    allowed = {resource for one in endpoint for resource in one["Resource"]}

    assert layer_objects("us-west-2") in allowed
    assert "arn:aws:s3:::usgs-landsat/*" in allowed
    assert "arn:aws:s3:::sentinel-cogs/*" in allowed
    assert "arn:aws:s3:::greenland-glacier-data" in allowed
    assert not {"*", "arn:aws:s3:::*"} & allowed


def test_results_are_written_and_never_removed(glacier: Template) -> None:
    """Neither the function nor a container has any business in removing results."""
    for role in ("FunctionRole", "TaskRole"):
        rights = _rights(glacier, role)

        assert set(rights["GlacierResults"]["Action"]) == {
            "s3:GetObject",
            "s3:PutObject",
            "s3:AbortMultipartUpload",
        }
        assert "s3:DeleteObject" not in json.dumps(rights)


def test_the_machine_may_call_what_it_calls(glacier: Template) -> None:
    """One that is denied fails each region by itself, and says nothing of permissions."""
    rights = _rights(glacier, "MachineRole")

    assert json.dumps(rights["MachineJobs"]["Resource"]).count("_runs/submissions/*") == 2
    assert "glacier-sentinel2-processor:*" in json.dumps(rights["MachineFunction"]["Resource"])
    assert "job-definition/satellite-processing-sentinel2:*" in json.dumps(rights["MachineBatch"])
    assert "stateMachine:glacier-runs" in json.dumps(rights["MachineChildren"])
    assert "execution:glacier-runs/*" in json.dumps(rights["MachineChildrenStates"])


def test_the_machine_calls_the_alias_and_the_definitions_of_this_stack(glacier: Template) -> None:
    """An alias that is moved back takes the machine with it."""
    machine = glacier.only("AWS::StepFunctions::StateMachine")
    told = machine["DefinitionSubstitutions"]

    assert json.dumps(told["Function"]).endswith(':function:glacier-sentinel2-processor:live"]]}')
    assert "job-queue/glacier-processing-queue" in json.dumps(told["JobQueue"])
    assert told["JobDefinition"] == "satellite-processing"
    assert set(told) == {"Function", "JobQueue", "JobDefinition", "Topic"}
    for name in told:
        assert f"${{{name}}}" in machine["DefinitionString"]
    assert machine["LoggingConfiguration"]["Level"] == "ALL"


def test_a_call_that_nearly_timed_out_rings(glacier: Template) -> None:
    """The next one of its kind will not get through."""
    alarms = {one["AlarmName"]: one for one in glacier.of("AWS::CloudWatch::Alarm")}

    assert set(alarms) == {
        "towpath-glacier-errors",
        "towpath-glacier-slow",
        "towpath-glacier-run-broken-off",
    }
    slow = alarms["towpath-glacier-slow"]
    assert (slow["MetricName"], slow["Threshold"]) == ("Duration", 720_000)
    assert slow["Dimensions"] == [{"Name": "FunctionName", "Value": "glacier-sentinel2-processor"}]
    assert all("docs/alarms.md" in one["AlarmDescription"] for one in alarms.values())


def test_a_budget_is_watched_unless_there_is_none(
    sample: Synthesised, variant: Synthesised
) -> None:
    """A loop of retries costs money before anybody looks."""
    budget = sample.glacier.only("AWS::Budgets::Budget")

    assert budget["Budget"]["BudgetLimit"] == {"Amount": 100, "Unit": "USD"}
    assert [
        (one["Notification"]["NotificationType"], one["Notification"]["Threshold"])
        for one in budget["NotificationsWithSubscribers"]
    ] == [("ACTUAL", 80), ("FORECASTED", 100)]
    assert variant.glacier.of("AWS::Budgets::Budget") == []


def test_a_container_hears_that_it_is_to_stop(glacier: Template) -> None:
    """As process 1 a program gets no SIGTERM before it asks for it: its record stays behind."""
    containers = [each["ContainerProperties"] for each in glacier.of("AWS::Batch::JobDefinition")]
    for task in glacier.of("AWS::ECS::TaskDefinition"):
        containers += task["ContainerDefinitions"]

    started = [_either(each, "LinuxParameters") for each in containers]

    assert len(started) == 4
    assert all(_either(each, "InitProcessEnabled") is True for each in started)


def _either(of: Any, name: str) -> Any:
    """Return a property, however its first letter is written."""
    return of.get(name, of.get(name[0].lower() + name[1:]))


def test_tasks_have_room_for_scenes(sample: Synthesised, variant: Synthesised) -> None:
    """Twenty gigabytes, which Fargate gives by itself, are full after three tiles."""

    def tasks(template: Template) -> dict[str, Any]:
        found = template.of("AWS::ECS::TaskDefinition")
        return {one["RequiresCompatibilities"][0]: one for one in found}

    assert tasks(sample.glacier)["FARGATE"]["EphemeralStorage"]["SizeInGiB"] == 40
    assert tasks(sample.glacier)["FARGATE"]["Family"] == "glacier-task"
    assert tasks(sample.glacier)["EC2"]["Family"] == "satellite-processing-task"
    fargate = tasks(variant.glacier)["FARGATE"]
    assert (fargate["Cpu"], fargate["Memory"]) == ("2048", "8192")


def test_no_account_stands_in_a_template(sample: Synthesised, variant: Synthesised) -> None:
    """The same template is for everybody's account."""
    for template in (sample.glacier, variant.glacier):
        text = template.path.read_text()

        assert not any(part.isdigit() and len(part) == 12 for part in text.split(":"))


def test_the_same_settings_give_the_same_bytes(sample: Synthesised, tmp_path: Path) -> None:
    """A deployment that changes nothing must change nothing."""
    from infra.app import GLACIER, WILDLIFE, checked_app, synthesise  # noqa: PLC0415 - CDK
    from infra.stacks.glacier import GlacierStack  # noqa: PLC0415 - the same
    from infra.stacks.wildlife import WildlifeStack  # noqa: PLC0415 - the same

    settings = load_infra_settings(SAMPLE)
    assert settings.glacier is not None
    assert settings.wildlife is not None
    app = checked_app(tmp_path)
    GlacierStack(app, GLACIER, settings.glacier)
    WildlifeStack(app, f"{WILDLIFE}-dev", settings.wildlife)
    synthesise(app)

    for stack, template in ((GLACIER, sample.glacier), (f"{WILDLIFE}-dev", sample.wildlife)):
        again = tmp_path / f"{stack}.template.json"
        assert again.read_bytes() == template.path.read_bytes()
