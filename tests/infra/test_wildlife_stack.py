"""What runs wildlife pipelines: least rights, no way in, kept where it must be, told at its end."""

import json
from typing import Any

import pytest

from infra.app import WILDLIFE
from pipelines.wildlife.layout import Kind, tags_of
from pipelines.wildlife.settings import SERVICE, RunSettings
from pipelines.wildlife.states.index import FUNCTIONS
from shared.settings import load_settings
from tests.support.stacks import Synthesised, Template, read_template


@pytest.fixture
def wildlife(sample: Synthesised) -> Template:
    """The stack as the sample names it."""
    return sample.wildlife


def _text(value: Any) -> str:
    """Return a value with each reference as `<Name>`."""
    if isinstance(value, str):
        return value
    [(function, told)] = value.items()
    if function == "Fn::Join":
        return str(told[0]).join(map(_text, told[1]))
    return f"<{'.'.join(told) if isinstance(told, list) else told}>"


def _by(template: Template, kind: str, name: str) -> dict[str, Any]:
    return {_text(each[name]): each for each in template.of(kind)}


def _rights(template: Template, role: str) -> dict[str, Any]:
    prefix = f"{role}".replace("-", "").replace("_", "")
    [policy] = [
        each
        for each in template.of("AWS::IAM::Policy")
        if str(each["PolicyName"]).startswith(prefix)
    ]
    return {one["Sid"]: one for one in policy["PolicyDocument"]["Statement"]}


def _listed(value: Any) -> list[str]:
    return [_text(each) for each in (value if isinstance(value, list) else [value])]


def test_every_state_has_a_function_as_the_contract_sizes_it(wildlife: Template) -> None:
    """The state's limit is the function's: neither ends before the other."""
    functions = _by(wildlife, "AWS::Lambda::Function", "FunctionName")
    states = json.loads(wildlife.only("AWS::StepFunctions::StateMachine")["DefinitionString"])

    for state, module in FUNCTIONS.items():
        function = functions[f"<Environment>-wildlife-{module.replace('_', '-')}"]
        assert function["Handler"] == "index.handler"
        assert function["Timeout"] == states["States"][state]["TimeoutSeconds"]
        assert function["Environment"]["Variables"]["WILDLIFE_STATE"] == module
        assert function["LoggingConfig"]["LogFormat"] == "JSON"
        assert "KmsKeyArn" in function
    sizes = {name.rpartition("wildlife-")[2]: one["MemorySize"] for name, one in functions.items()}
    assert sizes["guard-budget"] == sizes["weather-enrichment"] == 512
    assert sizes["stage0-exif"] == 1769
    # What a running cost is computed from.
    assert sizes["stage2-post"] == sizes["write-parquet"] == 1769


def test_no_function_may_do_what_its_state_does_not(wildlife: Template) -> None:
    """A hostile picture that takes over the reader of headers gets at no table and no key."""
    written = {
        module: sorted(
            arn.rpartition("/out/")[2]
            for one in _rights(wildlife, f"Role-{module}").values()
            if "s3:PutObject" in _listed(one["Action"])
            for arn in _listed(one["Resource"])
        )
        for module in FUNCTIONS.values()
    }
    secret = [m for m in FUNCTIONS.values() if "Secret" in _rights(wildlife, f"Role-{m}")]

    assert written["guard_budget"] == written["cost_estimation"] == []
    assert written["stage0_exif"] == ["*stage0/*"]
    assert written["stage2_post"] == ["*stage2/*"]
    assert written["weather_enrichment"] == ["*weather/*"]
    assert written["write_parquet"] == [
        "*clusters.parquet",
        "*detections.parquet",
        "*events.parquet",
        "*report.html",
        "*run_report.json",
    ]
    assert secret == ["weather_enrichment"]


def test_no_right_is_for_everything(wildlife: Template) -> None:
    """Single actions on what is named; nothing is ever deleted, and no role is passed on."""
    for policy in wildlife.of("AWS::IAM::Policy"):
        for one in policy["PolicyDocument"]["Statement"]:
            for action in _listed(one["Action"]):
                assert "*" not in action
                assert not action.startswith(("iam:", "ec2:", "s3:Delete")), action
            if "*" in _listed(one["Resource"]):
                assert one["Sid"] in {
                    "MachineBatchStates",
                    "MachineLogs",
                    "MachineTraces",
                    "StartLogin",
                }


def test_pictures_are_read_below_one_prefix_alone(wildlife: Template) -> None:
    """What else lies in the bucket is nobody's business."""
    for module in ("guard_budget", "stage0_exif"):
        listed = _rights(wildlife, f"Role-{module}")["PicturesListed"]
        assert listed["Condition"] == {"StringLike": {"s3:prefix": ["raw/*"]}}
    job = _rights(wildlife, "JobRole")

    assert _listed(job["PicturesRead"]["Resource"]) == ["arn:aws:s3:::<BucketName>/raw/*"]
    assert _listed(job["OutputWritten"]["Resource"]) == ["arn:aws:s3:::<BucketName>/out/*stage1/*"]


def test_there_is_no_way_into_the_network_and_out_of_it_but_to_aws(wildlife: Template) -> None:
    """Without the doors no job ever starts; with a gateway any could send pictures away."""
    groups = wildlife.of("AWS::EC2::SecurityGroup")
    services = {_text(one["ServiceName"]) for one in wildlife.of("AWS::EC2::VPCEndpoint")}
    blocks = [one["CidrBlock"] for one in wildlife.of("AWS::EC2::Subnet")]

    assert wildlife.only("AWS::EC2::VPC")["CidrBlock"] == "10.0.0.0/16"
    assert blocks == ["10.0.1.0/24", "10.0.2.0/24"]
    assert not any(one["MapPublicIpOnLaunch"] for one in wildlife.of("AWS::EC2::Subnet"))
    assert not wildlife.of("AWS::EC2::InternetGateway")
    assert not wildlife.of("AWS::EC2::NatGateway")
    assert not wildlife.of("AWS::EC2::Route")
    assert {name.split(".", 3)[3] for name in services} == {
        "ecr.api",
        "ecr.dkr",
        "ecs",
        "ecs-agent",
        "ecs-telemetry",
        "logs",
        "s3",
        "sts",
    }
    allowed = [
        (rule["CidrIp"], rule["ToPort"])
        for group in groups
        for rule in group.get("SecurityGroupIngress", [])
    ]
    assert sorted(allowed) == [("10.0.1.0/24", 443), ("10.0.2.0/24", 443)]


def test_the_way_to_s3_leads_to_the_bucket_and_to_layers_of_images(wildlife: Template) -> None:
    """A job that was taken over cannot put pictures into a bucket of somebody else."""
    [gateway] = [one for one in wildlife.of("AWS::EC2::VPCEndpoint") if "PolicyDocument" in one]
    resources = {
        arn for one in gateway["PolicyDocument"]["Statement"] for arn in _listed(one["Resource"])
    }

    assert resources == {
        "arn:aws:s3:::<BucketName>",
        "arn:aws:s3:::<BucketName>/*",
        "arn:aws:s3:::prod-eu-north-1-starport-layer-bucket/*",
    }


def test_spare_capacity_is_bid_for_and_scales_to_none(wildlife: Template) -> None:
    """Half the price at most, a hundred processors at most, nothing while nobody runs."""
    by_type = {
        one["ComputeResources"]["Type"]: one["ComputeResources"]
        for one in wildlife.of("AWS::Batch::ComputeEnvironment")
    }
    spot = by_type["SPOT"]

    assert spot["AllocationStrategy"] == "SPOT_CAPACITY_OPTIMIZED"
    assert spot["BidPercentage"] == 50
    assert (spot["MinvCpus"], spot["MaxvCpus"]) == (0, 100)
    assert "DesiredvCpus" not in spot
    assert spot["InstanceTypes"] == [
        "c5.large",
        "c5.xlarge",
        "c5.2xlarge",
        "m5.large",
        "m5.xlarge",
    ]
    assert spot["Tags"]["Project"] == "WildlifePipeline"
    assert "BidPercentage" not in by_type["EC2"]


def test_three_queues_and_none_lets_a_job_wait_for_ever(wildlife: Template) -> None:
    """A job that gets no instance has no attempt whose time limit could end it."""
    queues = _by(wildlife, "AWS::Batch::JobQueue", "JobQueueName")
    name = "<Environment>-wildlife-queue"

    assert {each: len(one["ComputeEnvironmentOrder"]) for each, one in queues.items()} == {
        name: 1,
        f"{name}-either": 2,
        f"{name}-on-demand": 1,
    }
    for one in queues.values():
        assert one["Priority"] == 1
        for action in one["JobStateTimeLimitActions"]:
            assert (action["Action"], action["MaxTimeSeconds"], action["State"]) == (
                "CANCEL",
                600,
                "RUNNABLE",
            )


def test_the_job_is_what_the_contract_says(wildlife: Template) -> None:
    """4096 MiB would fit no c5.large; a retried time-out would double a run's costs."""
    job = wildlife.only("AWS::Batch::JobDefinition")
    container = job["ContainerProperties"]
    resources = {one["Type"]: one["Value"] for one in container["ResourceRequirements"]}

    assert resources == {"VCPU": "2", "MEMORY": "3584"}
    assert job["Timeout"] == {"AttemptDurationSeconds": 3600}
    assert job["RetryStrategy"]["Attempts"] == 2
    assert job["RetryStrategy"]["EvaluateOnExit"] == [
        {"OnStatusReason": "Host EC2*", "Action": "RETRY"},
        {"OnReason": "CannotPullContainerError*", "Action": "RETRY"},
        {"OnExitCode": "2", "Action": "EXIT"},
        {"OnExitCode": "*", "Action": "RETRY"},
    ]
    assert container["LinuxParameters"] == {"InitProcessEnabled": True}
    assert container["ReadonlyRootFilesystem"] is True


def test_what_is_tagged_is_what_the_lifecycle_goes_by(wildlife: Template) -> None:
    """Rules that match no object archive nothing, and nobody notices for years."""
    [bucket] = [one for one in wildlife.of("AWS::S3::Bucket") if "VersioningConfiguration" in one]
    rules = {one["Id"]: one for one in bucket["LifecycleConfiguration"]["Rules"]}
    archived = [
        (one["StorageClass"], one["TransitionInDays"])
        for one in rules["archive-pictures"]["Transitions"]
    ]

    assert rules["archive-pictures"]["Prefix"] == "raw/"
    assert archived == [("STANDARD_IA", 30), ("GLACIER", 90), ("DEEP_ARCHIVE", 365)]
    assert rules["archive-frames"]["ExpirationInDays"] == 1095
    assert rules["archive-crops"]["ExpirationInDays"] == 730
    assert rules["tier-results"]["Transitions"][0]["StorageClass"] == "INTELLIGENT_TIERING"
    assert rules["expire-former-versions"]["NoncurrentVersionExpiration"]["NoncurrentDays"] == 30
    for rule, kind in (
        ("archive-frames", Kind.FRAME),
        ("archive-crops", Kind.CROP),
        ("tier-results", Kind.RESULT),
    ):
        assert rules[rule]["TagFilters"] == [{"Key": "kind", "Value": tags_of(kind)["kind"]}]


def test_what_nobody_can_make_again_outlives_the_stack(wildlife: Template) -> None:
    """Without its key a bucket is noise."""
    kinds = ("AWS::S3::Bucket", "AWS::KMS::Key")
    kept = [one for kind in kinds for one in wildlife.resources(kind)]

    assert len(kept) == 3
    assert {one["DeletionPolicy"] for one in kept} == {"Retain"}
    assert wildlife.only("AWS::KMS::Key")["EnableKeyRotation"] is True
    assert wildlife.only("AWS::SecretsManager::Secret")["SecretString"] == "{}"


def test_every_log_is_kept_for_a_month_and_encrypted(wildlife: Template) -> None:
    """They name places where animals are, which poachers would like to know."""
    groups = [one for one in wildlife.of("AWS::Logs::LogGroup") if "LogGroupName" in one]
    names = {_text(one["LogGroupName"]) for one in groups}

    assert len(groups) == 8
    assert "/aws/stepfunctions/<Environment>-wildlife-pipeline" in names
    assert all(one["RetentionInDays"] == 30 and "KmsKeyId" in one for one in groups)


def test_the_trail_sees_pictures_functions_and_the_machine(wildlife: Template) -> None:
    """And CloudTrail may write where it is to."""
    trail = wildlife.only("AWS::CloudTrail::Trail")
    kinds = [
        field["Equals"][0]
        for selector in trail["AdvancedEventSelectors"]
        for field in selector["FieldSelectors"]
        if field["Field"] == "resources.type"
    ]
    policies = json.dumps(wildlife.of("AWS::S3::BucketPolicy"))

    assert kinds == [
        "AWS::S3::Object",
        "AWS::Lambda::Function",
        "AWS::StepFunctions::StateMachine",
    ]
    assert trail["EnableLogFileValidation"] is True
    assert "TrailLooks" in policies
    assert "TrailWrites" in policies


def test_every_end_of_a_run_is_told(wildlife: Template) -> None:
    """Success with the report, failure and refusal with their reason: nobody has to look."""
    rule = wildlife.only("AWS::Events::Rule")
    [target] = rule["Targets"]
    policy = wildlife.only("AWS::SNS::TopicPolicy")["PolicyDocument"]["Statement"]
    allowed = [one["Principal"]["Service"] for one in policy if one["Effect"] == "Allow"]
    template = target["InputTransformer"]["InputTemplate"]
    paths = target["InputTransformer"]["InputPathsMap"]
    shown = template.replace("<detail>", '{"output": "{}"}')

    assert rule["EventPattern"]["detail"]["status"] == [
        "SUCCEEDED",
        "FAILED",
        "TIMED_OUT",
        "ABORTED",
    ]
    assert allowed == ["cloudwatch.amazonaws.com", "events.amazonaws.com"]
    assert set(json.loads(shown)) == {"what", "look", "detail"}
    assert all(f"<{name}>" in template for name in paths)


def test_the_budget_is_where_budgets_are(sample: Synthesised) -> None:
    """CloudFormation makes none in eu-north-1; a billing alarm there would never ring either."""
    template = read_template(sample.folder, f"{WILDLIFE}-dev-budget")
    budget = template.only("AWS::Budgets::Budget")
    allowed = json.dumps(template.only("AWS::SNS::TopicPolicy"))

    assert budget["Budget"]["BudgetLimit"] == {"Amount": 100, "Unit": "USD"}
    assert budget["Budget"]["CostFilters"] == {"TagKeyValue": ["user:Project$WildlifePipeline"]}
    assert [
        (one["Notification"]["NotificationType"], one["Notification"]["Threshold"])
        for one in budget["NotificationsWithSubscribers"]
    ] == [("ACTUAL", 80), ("ACTUAL", 100)]
    assert "budgets.amazonaws.com" in allowed
    assert _text(template.only("AWS::SNS::Topic")["TopicName"]) == (
        "<Environment>-wildlife-budget-alerts"
    )


@pytest.mark.parametrize("which", ["sample", "variant"])
def test_a_run_understands_what_functions_and_jobs_are_told(
    which: str, request: pytest.FixtureRequest
) -> None:
    """The variables are read by the runs' own settings, which refuse what they do not know."""
    synthesised: Synthesised = request.getfixturevalue(which)
    template = synthesised.wildlife
    [job] = [one["ContainerProperties"] for one in template.of("AWS::Batch::JobDefinition")]
    told = [one["Environment"]["Variables"] for one in template.of("AWS::Lambda::Function")]
    told.append({one["Name"]: one["Value"] for one in job["Environment"]})

    for variables in told:
        environ = {
            name: _text(value).replace("<Environment>", "prod").replace("<BucketName>", "traps")
            for name, value in variables.items()
        }
        made = load_settings(RunSettings, [], environ, service=SERVICE).settings
        assert made.environment_name == "prod"
        assert made.job_queue_either == "prod-wildlife-queue-either"
        if which == "variant":
            assert made.clocks_uri == "s3://traps/metadata/exif_corrections/"
            assert made.weather == ("frost", "smhi")
            assert made.include_humans is True


def test_what_is_there_already_is_used_and_not_made(variant: Synthesised) -> None:
    """A bucket, a network and a trail of one's own; no budget where none is wanted."""
    for kind in ("AWS::S3::Bucket", "AWS::EC2::VPC", "AWS::CloudTrail::Trail"):
        assert variant.wildlife.of(kind) == []
    keys = _rights(variant.wildlife, "Role-stage0_exif")["Keys"]

    assert keys["Resource"] == "arn:aws:kms:eu-north-1:123456789012:key/1a2b"
    assert "Secret" in _rights(variant.wildlife, "JobRole"), "the detector http wants its key"
    assert not (variant.folder / f"{WILDLIFE}-prod-budget.template.json").exists()


def test_what_runs_waits_for_packages_and_image(wildlife: Template) -> None:
    """The repository is made by the same stack: the first deployment has nothing to run yet."""
    waiting = {
        each["Type"]: each["Condition"]
        for each in wildlife.document["Resources"].values()
        if "Condition" in each
    }

    assert waiting == {
        "AWS::Lambda::Function": "HasPackages",
        "AWS::Batch::JobDefinition": "HasImage",
        "AWS::StepFunctions::StateMachine": "IsComplete",
    }
    assert {"StateMachineArn", "StateMachineName", "BucketName"} <= set(
        wildlife.document["Outputs"]
    )
    assert wildlife.document["Parameters"]["Environment"]["AllowedValues"] == ["dev", "prod"]
