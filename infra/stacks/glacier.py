"""Everything that runs glacier regions in one region of AWS, and the bucket that they leave.

Its outputs are what `aws_config.ini` says: `infra/glacier_outputs.py` writes the file.
"""

from collections.abc import Mapping

from aws_cdk import Aws, CfnOutput, Environment, Fn, Stack
from constructs import Construct

from infra.alarms import glacier_alarms
from infra.blocks.alarms import add_alarms, add_topic
from infra.blocks.batch import Place
from infra.blocks.buckets import add_bucket
from infra.blocks.budget import add_budget
from infra.blocks.glacier_containers import (
    CLUSTER,
    CONTAINER,
    ECS_TASK,
    FARGATE_TASK,
    JOB_DEFINITION,
    LOG_GROUP,
    QUEUE,
    Roles,
    add_batch,
    add_container_logs,
    add_ecs,
    add_job_definitions,
)
from infra.blocks.glacier_function import (
    TIMEOUT_SECONDS,
    add_function,
)
from infra.blocks.glacier_runs import MACHINE, add_machine
from infra.blocks.images import Image, add_image, add_repository
from infra.blocks.network import add_network, add_security_group
from infra.blocks.role import add_service_role
from infra.glacier_permissions import machine_permissions
from infra.settings import Glacier
from infra.stacks.instances import partition_of
from pipelines.glacier.deploy.permissions.policies import (
    LAMBDA_SERVICE,
    TASK_SERVICE,
    endpoint_statements,
    execution_statements,
    task_execution_statements,
    task_statements,
)
from pipelines.glacier.deploy.permissions.scope import Scope
from pipelines.glacier.deploy.permissions.statements import resource_document

_PUBLISHERS = ("budgets.amazonaws.com", "cloudwatch.amazonaws.com")


class GlacierStack(Stack):
    """The function, Batch, ECS and the state machine, with all that they need."""

    def __init__(self, scope: Construct, name: str, glacier: Glacier) -> None:
        super().__init__(
            scope,
            name,
            env=Environment(region=glacier.region),
            description="Towpath: glacier runs",
        )
        add_bucket(self, glacier.bucket)
        topic = add_topic(self, "glacier", glacier.alarm_email, _PUBLISHERS)
        names = names_of(glacier, topic.topic_arn)
        image = add_image(self)
        add_repository(self, glacier.repository, by_functions=True)
        add_function(
            self,
            glacier,
            image,
            role=add_service_role(
                self,
                "FunctionRole",
                service=LAMBDA_SERVICE,
                role_name=names.execution_role,
                permissions=execution_statements(names),
                only_here=False,
            ),
            topic=topic,
        )
        place = self._add_containers(glacier, names, image)
        machine = add_machine(
            self,
            names,
            role=add_service_role(
                self,
                "MachineRole",
                service="states.amazonaws.com",
                permissions=machine_permissions(
                    names, machine=MACHINE, job_queue=QUEUE, job_definition=JOB_DEFINITION
                ),
            ),
            topic=topic,
        )
        alarms = glacier_alarms(
            glacier.function_name, timeout_seconds=TIMEOUT_SECONDS, state_machine=machine.ref
        )
        add_alarms(self, "glacier", alarms, topic=topic)
        add_budget(self, Fn.join("-", ["towpath-glacier", Aws.REGION]), glacier.budget_usd, topic)
        self._tell(glacier, names, place, {"StateMachine": machine.ref, "Topic": topic.topic_arn})

    def _add_containers(self, glacier: Glacier, names: Scope, image: Image) -> Place:
        """Make Batch and ECS, and return the network that they are in."""
        vpc = add_network(
            self, glacier.network, endpoint_policy=resource_document(endpoint_statements(names))
        )
        place = Place(vpc, add_security_group(self, vpc))
        roles = Roles(
            task=add_service_role(
                self,
                "TaskRole",
                service=TASK_SERVICE,
                role_name=names.task_role,
                permissions=task_statements(names),
            ),
            execution=add_service_role(
                self,
                "TaskExecutionRole",
                service=TASK_SERVICE,
                role_name=names.task_execution_role,
                permissions=task_execution_statements(names),
            ),
        )
        add_container_logs(self, glacier)
        add_batch(self, glacier, place)
        add_job_definitions(self, image, roles)
        add_ecs(self, glacier, image, roles)
        return place

    def _tell(
        self, glacier: Glacier, names: Scope, place: Place, references: Mapping[str, str]
    ) -> None:
        """Make the outputs."""
        told = {
            "AwsRegion": glacier.region,
            "BucketName": glacier.bucket.name,
            "BasePath": glacier.base_path,
            "FunctionName": glacier.function_name,
            "RepositoryName": glacier.repository,
            "JobQueue": QUEUE,
            "JobDefinition": JOB_DEFINITION,
            "ClusterName": CLUSTER,
            "EcsTaskFamily": ECS_TASK,
            "FargateTaskFamily": FARGATE_TASK,
            "ContainerName": CONTAINER,
            "FargateCpu": str(glacier.fargate_cpu),
            "FargateMemory": str(glacier.fargate_memory),
            "Subnets": Fn.join(",", place.subnets),
            "SecurityGroups": place.security_group.security_group_id,
            "TaskRoleName": names.task_role,
            "TaskExecutionRoleName": names.task_execution_role,
            "LogGroup": LOG_GROUP,
            "LogDays": str(glacier.log_days),
            **references,
        }
        for name, value in told.items():
            CfnOutput(self, name, value=value)


def names_of(glacier: Glacier, topic_arn: str) -> Scope:
    """Return the names that the rights of the runs are bounded by."""
    return Scope(
        aws_region=glacier.region,
        account_id=Aws.ACCOUNT_ID,
        bucket=glacier.bucket.name,
        base_path=glacier.base_path,
        function=glacier.function_name,
        repository=glacier.repository,
        partition=partition_of(glacier.region),
        log_group=LOG_GROUP,
        topic_arn=topic_arn,
    )
