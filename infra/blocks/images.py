"""The image that a stack runs, its repository, and what has to wait for it.

The image is pushed into the repository after the stack has made it. So the stack is deployed once
without an image, and then with one: everything that needs it has a condition.
"""

from dataclasses import dataclass

from aws_cdk import Aws, CfnCondition, CfnParameter, Fn, RemovalPolicy, Stack
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam

_IMAGES_KEPT = 20
_IMAGE = (
    r"^$|^[0-9]{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/[a-z0-9._/-]+@sha256:[0-9a-f]{64}$"
)


@dataclass(frozen=True, slots=True)
class Image:
    """The image that runs, once there is one."""

    uri: str
    given: CfnCondition


def add_image(stack: Stack) -> Image:
    """Return the image that the stack's parameter names, by its digest."""
    parameter = CfnParameter(
        stack,
        "ImageUri",
        default="",
        allowed_pattern=_IMAGE,
        constraint_description="REPOSITORY@sha256:DIGEST, or empty until an image is pushed",
        description="Image by its digest; without one, only what does not need it is made",
    )
    given = CfnCondition(
        stack,
        "HasImage",
        expression=Fn.condition_not(Fn.condition_equals(parameter.value_as_string, "")),
    )
    return Image(parameter.value_as_string, given)


def add_repository(stack: Stack, name: str, *, by_functions: bool) -> ecr.CfnRepository:
    """Make the repository; an image can be built again, so it goes with the stack.

    `by_functions`: functions of the account are made of its images.
    """
    repository = ecr.CfnRepository(
        stack,
        "Repository",
        repository_name=name,
        image_scanning_configuration={"scanOnPush": True},
        image_tag_mutability="IMMUTABLE",
        encryption_configuration={"encryptionType": "AES256"},
        empty_on_delete=True,
        lifecycle_policy={
            "lifecyclePolicyText": stack.to_json_string(
                {
                    "rules": [
                        {
                            "rulePriority": 1,
                            "description": f"the newest {_IMAGES_KEPT} images",
                            "selection": {
                                "tagStatus": "any",
                                "countType": "imageCountMoreThan",
                                "countNumber": _IMAGES_KEPT,
                            },
                            "action": {"type": "expire"},
                        }
                    ]
                }
            )
        },
        repository_policy_text=_function_policy() if by_functions else None,
    )
    repository.apply_removal_policy(RemovalPolicy.DESTROY)
    return repository


def _function_policy() -> iam.PolicyDocument:
    return iam.PolicyDocument(
        statements=[
            iam.PolicyStatement(
                sid="Lambda",
                principals=[iam.ServicePrincipal("lambda.amazonaws.com")],
                actions=["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
                conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
            )
        ]
    )
