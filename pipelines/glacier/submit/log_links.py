"""Where AWS's console shows what a job has printed. Pure."""

from urllib.parse import quote

BATCH_LOG_GROUP = "/aws/batch/job"
"""Where Batch writes unless the job definition says otherwise."""
_ARN_NAME = 6
"""Part of `arn:aws:lambda:REGION:ACCOUNT:function:NAME`."""


def log_link(aws_region: str, group: str, stream: str = "") -> str:
    """Return the address of a log group, or of one stream in it."""
    domain = "amazonaws.cn" if aws_region.startswith("cn-") else "aws.amazon.com"
    address = (
        f"https://{aws_region}.console.{domain}/cloudwatch/home?region={aws_region}"
        f"#logsV2:log-groups/log-group/{_twice(group)}"
    )
    return f"{address}/log-events/{_twice(stream)}" if stream else address


def function_log_group(function_name: str) -> str:
    """Return where a function writes; it is given by name or ARN, with or without a version."""
    parts = function_name.split(":")
    name = parts[_ARN_NAME] if len(parts) > _ARN_NAME else parts[0]
    return f"/aws/lambda/{name}"


def _twice(name: str) -> str:
    """Return a name as the console wants it: quoted twice, and `%` written as `$`."""
    return quote(quote(name, safe=""), safe="").replace("%", "$")
