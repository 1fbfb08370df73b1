"""Carries a deployment out, a step at a time; each may be repeated, and is waited for.

The alias moves last. A version that does not answer as it must is left behind: the alias goes back
to where it was, so that jobs never meet it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import anyio

from pipelines.glacier.deploy.docker.imaging import Building, Tell, build_image, push_image
from pipelines.glacier.deploy.function.deploy_plan import Observed, Step
from pipelines.glacier.deploy.function.function_facts import ABSENT
from pipelines.glacier.deploy.function.function_plan import ALIAS, Settings, Wanted, merged
from pipelines.glacier.deploy.function.observing import load_image_digest
from pipelines.glacier.deploy.permissions.roles import execution_role, make_role
from pipelines.glacier.deploy.permissions.scope import Scope
from pipelines.glacier.deploy.probes.probes import Probe, faults
from shared.aws.calls import AwsCalls
from shared.errors import PermanentError, SuiteError

_SETTLED = "Successful"
_BROKEN = "Failed"


class SmokeTestFailed(PermanentError):
    """The new version does not answer as it must; the message says how, and what was put back."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What a deployment leads to."""

    scope: Scope
    wanted: Wanted
    tag: str
    log_days: int
    building: Building
    probes: Sequence[Probe]


class Deploying:
    """One deployment, from what was observed to the goal."""

    def __init__(self, calls: AwsCalls, observed: Observed, goal: Goal, tell: Tell) -> None:
        self._calls = calls
        self._observed = observed
        self._goal = goal
        self._tell = tell
        self._image_digest = goal.wanted.image_digest

    async def carry_out(self, steps: Sequence[Step]) -> None:
        """Do all steps; the first failure ends it, and the next deployment goes on from there."""
        ways: Mapping[str, Callable[[], Awaitable[None]]] = {
            "repository": self._make_repository,
            "repository-settings": self._set_repository,
            "image": self._build_and_push,
            "role": lambda: make_role(self._calls, execution_role(self._goal.scope)),
            "logs": self._keep_logs,
            "create": self._create,
            "remove": self._remove,
            "code": self._update_code,
            "settings": self._update_settings,
            "publish": self._publish,
        }
        for step in steps:
            self._tell(step.text)
            await ways[step.kind]()

    async def _make_repository(self) -> None:
        await self._calls.find(
            "ecr",
            "create_repository",
            ("RepositoryAlreadyExistsException",),
            repositoryName=self._goal.scope.repository,
            imageTagMutability="IMMUTABLE",
            imageScanningConfiguration={"scanOnPush": True},
        )

    async def _set_repository(self) -> None:
        name = self._goal.scope.repository
        await self._calls.send(
            "ecr",
            "put_image_scanning_configuration",
            repositoryName=name,
            imageScanningConfiguration={"scanOnPush": True},
        )
        await self._calls.send(
            "ecr",
            "put_image_tag_mutability",
            repositoryName=name,
            imageTagMutability="IMMUTABLE",
        )

    async def _build_and_push(self) -> None:
        name = f"{self._goal.wanted.repository_uri}:{self._goal.tag}"
        await build_image(self._goal.building, name, self._tell)
        await push_image(self._calls, name)
        repository = self._goal.scope.repository
        self._image_digest = await load_image_digest(self._calls, repository, self._goal.tag)
        if not self._image_digest:
            raise PermanentError(
                f"image {name!r} was pushed and is not there; look at the registry"
            )
        self._tell(f"pushed {name} as {self._image_digest}")

    async def _keep_logs(self) -> None:
        name = self._goal.scope.function_log_group
        there = ("ResourceAlreadyExistsException",)
        await self._calls.find("logs", "create_log_group", there, logGroupName=name)
        await self._calls.send(
            "logs",
            "put_retention_policy",
            logGroupName=name,
            retentionInDays=self._goal.log_days,
        )

    async def _create(self) -> None:
        wanted = self._goal.wanted
        await self._calls.send(
            "lambda",
            "create_function",
            FunctionName=wanted.function,
            PackageType="Image",
            Code={"ImageUri": self._image_uri},
            Architectures=[wanted.architecture],
            Description="glacier imagery: download, merge, clip",
            **_settings_arguments(wanted.settings),
        )
        await self._until_settled()

    async def _remove(self) -> None:
        name = self._goal.wanted.function
        await self._calls.find("lambda", "delete_function", ABSENT, FunctionName=name)

        async def gone() -> bool:
            found = await self._calls.find("lambda", "get_function", ABSENT, FunctionName=name)
            return found is None

        await self._calls.until(gone, f"the end of function {name!r}")

    async def _update_code(self) -> None:
        name = self._goal.wanted.function
        await self._calls.send(
            "lambda", "update_function_code", FunctionName=name, ImageUri=self._image_uri
        )
        await self._until_settled()

    async def _update_settings(self) -> None:
        wanted, latest = self._goal.wanted, self._observed.latest
        settings = merged(latest.settings, wanted.settings) if latest else wanted.settings
        await self._calls.send(
            "lambda",
            "update_function_configuration",
            FunctionName=wanted.function,
            **_settings_arguments(settings),
        )
        await self._until_settled()

    async def _publish(self) -> None:
        name, before = self._goal.wanted.function, self._observed.live_version
        answer = await self._calls.send(
            "lambda",
            "publish_version",
            FunctionName=name,
            # Lambda makes no new version of what has not changed since the last one.
            Description=f"image {self._image_digest}",
        )
        version = str(answer["Version"])
        await self._until_settled(version)
        await self._move_alias(version)
        self._tell(f"alias {ALIAS} leads to version {version}")
        await self._keep_if_well(version, before)

    async def _keep_if_well(self, version: str, before: str) -> None:
        """Ask the new version; whatever else happens than good answers, the alias goes back."""
        found = ["interrupted"]
        put_back = ""
        try:
            found = await self._smoke_test()
        except SuiteError as error:
            found = [str(error)]
        finally:
            if found:
                with anyio.CancelScope(shield=True):
                    put_back = await self._put_back(before)
        if found:
            raise SmokeTestFailed(
                f"version {version} of {self._goal.wanted.function!r} fails its smoke test; "
                f"{put_back}: {'; '.join(found)}"
            )
        self._tell("smoke test passed")

    async def _smoke_test(self) -> list[str]:
        found: list[str] = []
        for probe in self._goal.probes:
            answer = await self._calls.send(
                "lambda",
                "invoke",
                FunctionName=self._goal.wanted.function,
                Qualifier=ALIAS,
                InvocationType="RequestResponse",
                Payload=probe.payload(),
            )
            async with answer["Payload"] as stream:
                payload: bytes = await stream.read()
            if answer.get("FunctionError"):
                said = payload[:400].decode("utf-8", "replace")
                found.append(f"{probe.name}: the function raised {said!r}")
                continue
            found += [f"{probe.name}: {fault}" for fault in faults(probe, payload)]
        return found

    async def _put_back(self, version: str) -> str:
        name = self._goal.wanted.function
        if version:
            await self._move_alias(version)
            return f"alias {ALIAS} is back at version {version}"
        await self._calls.find("lambda", "delete_alias", ABSENT, FunctionName=name, Name=ALIAS)
        return f"alias {ALIAS}, which was not there before, is removed"

    async def _move_alias(self, version: str) -> None:
        arguments = {
            "FunctionName": self._goal.wanted.function,
            "Name": ALIAS,
            "FunctionVersion": version,
        }
        if await self._calls.find("lambda", "update_alias", ABSENT, **arguments) is None:
            await self._calls.send("lambda", "create_alias", **arguments)

    async def _until_settled(self, version: str = "") -> None:
        """Wait until Lambda has carried out what it was asked; a race otherwise loses settings."""
        name = self._goal.wanted.function
        which = {"Qualifier": version} if version else {}

        async def settled() -> bool:
            found = await self._calls.send(
                "lambda", "get_function_configuration", FunctionName=name, **which
            )
            if _BROKEN in (found.get("State"), found.get("LastUpdateStatus")):
                reason = found.get("LastUpdateStatusReason") or found.get("StateReason") or ""
                raise PermanentError(f"function {name!r} cannot be updated: {reason!r}")
            idle = found.get("State", "Active") in {"Active", "Inactive"}
            return idle and found.get("LastUpdateStatus", _SETTLED) == _SETTLED

        await self._calls.until(settled, f"the update of function {name!r}")

    @property
    def _image_uri(self) -> str:
        return f"{self._goal.wanted.repository_uri}@{self._image_digest}"


def _settings_arguments(settings: Settings) -> Mapping[str, object]:
    return {
        "Role": settings.role_arn,
        "MemorySize": settings.memory_mb,
        "Timeout": settings.timeout_seconds,
        "EphemeralStorage": {"Size": settings.storage_mb},
        "Environment": {"Variables": dict(settings.environment)},
    }
