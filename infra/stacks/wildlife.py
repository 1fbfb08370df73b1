"""Everything that turns the pictures of trail cameras into tables, in one region of AWS.

Its outputs are what `towpath wildlife run --mode aws` and the Makefile ask for.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from aws_cdk import Aws, CfnCondition, CfnOutput, CfnParameter, Environment, Fn, Stack, Tags
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.alarms import wildlife_alarms
from infra.blocks.alarms import add_alarms, add_topic
from infra.blocks.batch import Place
from infra.blocks.images import Image, add_image, add_repository
from infra.blocks.network import (
    Isolation,
    add_isolated_network,
    add_network,
    add_security_group,
)
from infra.blocks.role import add_service_role
from infra.blocks.wildlife_audit import add_audit
from infra.blocks.wildlife_detection import (
    add_detection_job,
    add_detection_queues,
    detection_logs,
)
from infra.blocks.wildlife_functions import Packages, add_packages, add_wildlife_function
from infra.blocks.wildlife_runs import add_run_ends, add_wildlife_machine
from infra.blocks.wildlife_stores import add_key, add_secret, add_wildlife_bucket
from infra.stacks.instances import partition_of
from infra.wildlife_names import WildlifeNames
from infra.wildlife_permissions import (
    endpoint_statements,
    execution_permissions,
    function_permissions,
    job_role_permissions,
    machine_permissions,
)
from infra.wildlife_settings import Wildlife
from infra.wildlife_variables import function_variables, in_bucket, job_variables
from pipelines.glacier.deploy.permissions.statements import resource_document
from pipelines.wildlife.machine.definition import (
    FUNCTION_PLACEHOLDERS,
    JOB_DEFINITION,
    SPECIES,
    read_definition,
)
from pipelines.wildlife.states.index import FUNCTIONS
from shared.aws.permission import Permission

_MODULES = tuple(FUNCTIONS.values())
_PUBLISHERS = ("cloudwatch.amazonaws.com",)
_SUBNETS = ("10.0.1.0/24", "10.0.2.0/24")
_DOORS = (
    ec2.InterfaceVpcEndpointAwsService.ECR,
    ec2.InterfaceVpcEndpointAwsService.ECR_DOCKER,
    ec2.InterfaceVpcEndpointAwsService.ECS,
    ec2.InterfaceVpcEndpointAwsService.ECS_AGENT,
    ec2.InterfaceVpcEndpointAwsService.ECS_TELEMETRY,
    ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS,
    ec2.InterfaceVpcEndpointAwsService.STS,
)


@dataclass(frozen=True, slots=True)
class _Kept:
    """What roles are given rights to."""

    key: kms.Key
    secret: secretsmanager.CfnSecret
    bucket_keys: tuple[str, ...]


class WildlifeStack(Stack):
    """Functions, Batch and the state machine, with all that they need."""

    def __init__(self, scope: Construct, name: str, wildlife: Wildlife) -> None:
        super().__init__(
            scope,
            name,
            env=Environment(region=wildlife.region),
            description="Towpath: wildlife runs",
        )
        names = self._name(wildlife)
        for tag, value in names.tags.items():
            Tags.of(self).add(tag, value)
        key = add_key(self, names)
        add_wildlife_bucket(self, wildlife, names, key)
        theirs = (wildlife.bucket.kms_key,) if wildlife.bucket.kms_key else ()
        kept = _Kept(key, add_secret(self, names, key), theirs or (key.key_arn,))
        topic = add_topic(
            self,
            "wildlife",
            wildlife.alarm_email,
            _PUBLISHERS,
            name=names.named("runs"),
        )
        add_repository(self, names.job_definition, by_functions=False)
        packages = add_packages(self)
        image = add_image(self)
        for module in _MODULES:
            self._add_function(module, wildlife, names, kept, packages)
        self._add_detection(wildlife, names, kept, image)
        ready = CfnCondition(
            self, "IsComplete", expression=Fn.condition_and(image.given, packages.given)
        )
        self._add_machine(wildlife, names, kept, ready)
        add_audit(self, wildlife, names, key, _MODULES)
        self._watch(names, topic)
        self._tell(wildlife, names, {"Topic": topic.topic_arn, "Key": key.key_arn})

    def _name(self, wildlife: Wildlife) -> WildlifeNames:
        """Return the names, which two parameters of the stack decide."""
        environment = CfnParameter(
            self,
            "Environment",
            default=wildlife.environment,
            allowed_values=["dev", "prod"],
            description="First part of every name",
        )
        bucket = CfnParameter(
            self,
            "BucketName",
            default=wildlife.bucket.name,
            allowed_pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
            description="Bucket of pictures and tables",
        )
        return WildlifeNames(
            environment=environment.value_as_string,
            aws_region=wildlife.region,
            account_id=Aws.ACCOUNT_ID,
            bucket=bucket.value_as_string,
            input_prefix=wildlife.bucket.input_prefix,
            output_prefix=wildlife.bucket.output_prefix,
            settings_prefix=wildlife.bucket.settings_prefix,
            partition=partition_of(wildlife.region),
        )

    def _add_function(
        self,
        module: str,
        wildlife: Wildlife,
        names: WildlifeNames,
        kept: _Kept,
        packages: Packages,
    ) -> None:
        permissions = function_permissions(
            module,
            names,
            keys=kept.bucket_keys,
            own_key=kept.key.key_arn,
            secret=kept.secret.ref,
        )
        add_wildlife_function(
            self,
            module,
            wildlife,
            names,
            packages,
            key=kept.key,
            role=add_service_role(
                self,
                f"Role-{module}",
                service="lambda.amazonaws.com",
                role_name=f"{names.named('lambda-exec')}-{module.replace('_', '-')}",
                permissions=permissions,
                only_here=False,
            ),
            variables=function_variables(wildlife, names, module),
        )

    def _add_detection(
        self, wildlife: Wildlife, names: WildlifeNames, kept: _Kept, image: Image
    ) -> None:
        """Make the network, Batch in it, and the job's definition."""
        add_detection_queues(self, wildlife, names, self._add_place(wildlife, names))
        wants_key = wildlife.run_settings.detector == "http"
        own = job_role_permissions(
            names,
            keys=kept.bucket_keys,
            own_key=kept.key.key_arn,
            secret=kept.secret.ref if wants_key else "",
        )
        start = execution_permissions(
            names, repository=names.job_definition, log_group=detection_logs(names)
        )
        add_detection_job(
            self,
            wildlife,
            names,
            image,
            definition=read_definition(),
            key=kept.key,
            roles=(
                self._add_task_role("JobRole", names.named("batch-job"), own),
                self._add_task_role("StartRole", names.named("batch-start"), start),
            ),
            variables=job_variables(wildlife, names),
        )

    def _add_machine(
        self, wildlife: Wildlife, names: WildlifeNames, kept: _Kept, ready: CfnCondition
    ) -> None:
        add_wildlife_machine(
            self,
            wildlife,
            names,
            ready,
            definition=read_definition(),
            values=_placeholders(wildlife, names),
            key=kept.key,
            role=add_service_role(
                self,
                "MachineRole",
                service="states.amazonaws.com",
                role_name=names.named("stepfn-exec"),
                permissions=machine_permissions(names, _MODULES),
            ),
        )

    def _add_task_role(self, identity: str, name: str, rights: list[Permission]) -> iam.Role:
        return add_service_role(
            self, identity, service="ecs-tasks.amazonaws.com", role_name=name, permissions=rights
        )

    def _add_place(self, wildlife: Wildlife, names: WildlifeNames) -> Place:
        if wildlife.network is not None:
            vpc = add_network(self, wildlife.network)
            return Place(vpc, add_security_group(self, vpc))
        isolated = add_isolated_network(
            self,
            Isolation("10.0.0.0/16", _SUBNETS, _DOORS, wildlife.endpoint_zones),
            endpoint_policy=resource_document(endpoint_statements(names)),
        )
        return Place(isolated, add_security_group(self, isolated), ec2.SubnetType.PRIVATE_ISOLATED)

    def _watch(self, names: WildlifeNames, topic: sns.Topic) -> None:
        """Have people told: of ends, and of what goes wrong."""
        rule = add_run_ends(self, names, topic)
        alarms = wildlife_alarms(
            machine=names.machine_arn, exif=names.function("stage0_exif"), rule=rule.ref
        )
        add_alarms(self, names.named("runs"), alarms, topic=topic)

    def _tell(self, wildlife: Wildlife, names: WildlifeNames, more: Mapping[str, str]) -> None:
        """Make the outputs."""
        queues = {f"JobQueue{kind.title()}": name for kind, name in names.queues.items()}
        told = {
            "AwsRegion": wildlife.region,
            "EnvironmentName": names.environment,
            "BucketName": names.bucket,
            "InputUri": f"s3://{names.bucket}/{names.input_prefix}/",
            "OutputUri": f"s3://{names.bucket}/{names.output_prefix}/",
            "StateMachineArn": names.machine_arn,
            "StateMachineName": names.machine,
            **{name.replace("_", ""): value for name, value in queues.items()},
            "JobDefinition": names.job_definition,
            "RepositoryName": names.job_definition,
            "ApiKeysSecret": names.secret,
            "DetectionLogGroup": detection_logs(names),
            **more,
        }
        for name, value in told.items():
            # Beside a parameter of the same name, which is no obstacle to CloudFormation.
            CfnOutput(self, f"Told{name}", value=value).override_logical_id(name)


def _placeholders(wildlife: Wildlife, names: WildlifeNames) -> Mapping[str, str]:
    """Return what stands in the definition for what is made here."""
    species = in_bucket(wildlife.run_settings.species_uri, wildlife, names)
    return {
        **{
            placeholder: names.function_arn(FUNCTIONS[state])
            for state, placeholder in FUNCTION_PLACEHOLDERS.items()
        },
        JOB_DEFINITION: names.job_definition,
        SPECIES: species,
    }
