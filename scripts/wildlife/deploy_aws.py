"""`make deploy-aws`: the stack with its image and packages; `--output NAME` prints one output.

The stack is deployed twice the first time, as its repository has to be there before the image is
pushed. Each step can be repeated: packages and image are found again by their content.
"""

import argparse
import base64
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio.to_thread

from shared.aws.calls import AwsCalls
from shared.engine import Engine, EngineOptions, open_engine
from shared.errors import ExitStatus, PermanentError, SuiteError, UsageError
from shared.lifecycle import run as run_loop
from shared.log import configure_logging
from shared.s3.errors import ObjectError
from shared.s3.pinned import open_pinned
from shared.s3.uri import S3Uri

_ROOT = Path(__file__).resolve().parents[2]
_CDK = _ROOT / "infra" / "node_modules" / ".bin" / "cdk"
_ASSEMBLY = _ROOT / "cdk.out"
_PREFIX = "towpath-wildlife"
_DEPLOY_SECONDS, _PUSH_SECONDS = 3600.0, 1800.0
_UPLOAD_SECONDS = 900.0


def main(argv: Sequence[str] | None = None) -> int:
    """Deploy, or print an output of what is deployed."""
    parser = argparse.ArgumentParser(prog="python -m scripts.wildlife.deploy_aws")
    parser.add_argument("--packages", type=Path, metavar="DIR", help="the functions' zips")
    parser.add_argument("--image", default="", metavar="IMAGE", help="the detection, built here")
    parser.add_argument("--output", default="", metavar="NAME", help="print this output, no more")
    parser.add_argument("--region", default="eu-north-1", metavar="REGION")
    parser.add_argument("--environment", default="dev", choices=("dev", "prod"))
    arguments = parser.parse_args(argv)
    if not arguments.output and (arguments.packages is None or not arguments.image):
        parser.error("--packages and --image are required; `make deploy-aws` gives them")
    configure_logging("wildlife", "warning")
    try:
        run_loop(lambda: _do(arguments))
    except SuiteError as error:
        sys.stderr.write(f"{error}\n")
        return error.status
    return ExitStatus.DONE


async def _do(arguments: argparse.Namespace) -> ExitStatus:
    stack = f"towpath-wildlife-{arguments.environment}"
    options = EngineOptions(arguments.region, os.environ.get("AWS_PROFILE"), None, in_flight=2)
    async with open_engine(options, journal=None) as engine:
        calls = AwsCalls(engine.clients)
        outputs = await _outputs(calls, stack)
        if arguments.output:
            if arguments.output not in outputs:
                raise UsageError(
                    f"stack {stack!r} has no output {arguments.output!r}; run `make deploy-aws`"
                )
            sys.stdout.write(f"{outputs[arguments.output]}\n")
            return ExitStatus.DONE
        if not outputs:
            await _cdk(stack, {})
            outputs = await _outputs(calls, stack)
        image = await _push(calls, arguments.image, outputs["RepositoryName"])
        bucket, prefix = await _upload(engine, arguments.packages, arguments.region)
        given = {"ImageUri": image, "PackageBucket": bucket, "PackagePrefix": prefix}
        await _cdk(stack, given)
        if (_ASSEMBLY / f"{stack}-budget.template.json").exists():
            await _cdk(f"{stack}-budget", {})
        sys.stdout.write(json.dumps(await _outputs(calls, stack), indent=2) + "\n")
    return ExitStatus.DONE


async def _outputs(calls: AwsCalls, stack: str) -> Mapping[str, str]:
    """Return what the stack tells; nothing where there is none."""
    try:
        found = await calls.send("cloudformation", "describe_stacks", StackName=stack)
    except ObjectError as error:
        if error.code != "ValidationError":
            raise
        return {}
    [told] = found["Stacks"]
    return {one["OutputKey"]: one["OutputValue"] for one in told.get("Outputs", [])}


async def _cdk(stack: str, parameters: Mapping[str, str]) -> None:
    words = [str(_CDK), "deploy", "--app", str(_ASSEMBLY), stack, "--require-approval=never"]
    for name, value in parameters.items():
        words += ["--parameters", f"{stack}:{name}={value}"]
    await _run(words, seconds=_DEPLOY_SECONDS)


async def _push(calls: AwsCalls, image: str, repository: str) -> str:
    """Push the image, and return it by its digest."""
    answer = await calls.send("ecr", "describe_repositories", repositoryNames=[repository])
    uri = str(answer["repositories"][0]["repositoryUri"])
    token = (await calls.send("ecr", "get_authorization_token"))["authorizationData"][0]
    user, _, password = base64.b64decode(token["authorizationToken"]).decode().partition(":")
    registry = uri.partition("/")[0]
    login = ["docker", "login", "--username", user, "--password-stdin", registry]
    await _run(login, seconds=_PUSH_SECONDS, given=password)
    built = await _run(
        ["docker", "image", "inspect", "--format", "{{.Id}}", image], seconds=_PUSH_SECONDS
    )
    # Tags of the repository are never moved: the content is the tag.
    tag = built.strip().removeprefix("sha256:")[:16]
    await _run(["docker", "tag", image, f"{uri}:{tag}"], seconds=_PUSH_SECONDS)
    pushed = await _find_image(calls, repository, tag)
    if not pushed:
        await _run(["docker", "push", f"{uri}:{tag}"], seconds=_PUSH_SECONDS)
        pushed = await _find_image(calls, repository, tag)
    return f"{uri}@{pushed}"


async def _find_image(calls: AwsCalls, repository: str, tag: str) -> str:
    try:
        found = await calls.send(
            "ecr", "describe_images", repositoryName=repository, imageIds=[{"imageTag": tag}]
        )
    except ObjectError as error:
        if error.code != "ImageNotFoundException":
            raise
        return ""
    return str(found["imageDetails"][0]["imageDigest"])


async def _upload(engine: Engine, packages: Path, aws_region: str) -> tuple[str, str]:
    """Put the packages where CDK keeps what stacks are made of; returns bucket and prefix."""
    bucket = f"cdk-hnb659fds-assets-{engine.place.account}-{aws_region}"
    prefix = f"{_PREFIX}/{packages.name}"
    paths = await anyio.to_thread.run_sync(lambda: sorted(packages.glob("*.zip")))
    for path in paths:
        file = await anyio.to_thread.run_sync(open_pinned, str(path))
        try:
            await engine.store.put_file(
                S3Uri(bucket, f"{prefix}/{path.name}"), file, deadline=_UPLOAD_SECONDS
            )
        finally:
            os.close(file.descriptor)
    return bucket, prefix


async def _run(words: Sequence[str], *, seconds: float, given: str = "") -> str:
    """Run a program to its end; its errors are shown as they come."""

    def run() -> str:
        done = subprocess.run(
            words,
            cwd=_ROOT,
            check=False,
            input=given,
            stdout=subprocess.PIPE,
            text=True,
            timeout=seconds,
        )
        if done.returncode != 0:
            raise PermanentError(
                f"{' '.join(words[:3])!r} ended with {done.returncode}; what it said stands above"
            )
        return done.stdout

    return await anyio.to_thread.run_sync(run)


if __name__ == "__main__":
    sys.exit(main())
