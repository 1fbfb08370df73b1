"""The CDK app: the stacks that the settings name, judged by cdk-nag while they are synthesised."""

from pathlib import Path

from aws_cdk import App, Validations
from aws_cdk.cx_api import CloudAssembly
from cdk_nag import AwsSolutionsChecks

from infra.assets import REQUIREMENTS, build_bundle
from infra.settings import InfraSettings
from infra.stacks.glacier import GlacierStack
from infra.stacks.instances import InstancesStack, coordinator_group, watchers_group
from infra.stacks.wildlife import WildlifeStack
from infra.stacks.wildlife_budget import WildlifeBudgetStack
from shared.errors import PermanentError

COORDINATOR = "towpath-coordinator"
WATCHERS = "towpath-watchers"
GLACIER = "towpath-glacier"
WILDLIFE = "towpath-wildlife"
"""With the environment behind it: both of an account have a stack of their own."""


def checked_app(output: Path) -> App:
    """Return an empty app whose `synth` fails on a finding of cdk-nag."""
    app = App(outdir=str(output), analytics_reporting=False)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app, verbose=True))
    return app


def build_app(settings: InfraSettings, *, output: Path, bundles: Path) -> App:
    """Return the app; `synth` of it writes to `output`, and fails on a finding of cdk-nag."""
    app = checked_app(output)
    if settings.coordinator is not None:
        bundle = build_bundle(
            bundles, requirements=REQUIREMENTS / "runtime.txt", wheels=settings.wheels
        )
        InstancesStack(app, COORDINATOR, coordinator_group(settings.coordinator), bundle)
    if settings.watchers is not None:
        bundle = build_bundle(
            bundles, requirements=REQUIREMENTS / "neowise.txt", wheels=settings.wheels
        )
        InstancesStack(app, WATCHERS, watchers_group(settings.watchers), bundle)
    if settings.glacier is not None:
        GlacierStack(app, GLACIER, settings.glacier)
    if settings.wildlife is not None:
        name = f"{WILDLIFE}-{settings.wildlife.environment}"
        WildlifeStack(app, name, settings.wildlife)
        if settings.wildlife.budget_usd:
            WildlifeBudgetStack(app, f"{name}-budget", settings.wildlife)
    return app


def synthesise(app: App) -> CloudAssembly:
    """Write the templates; PermanentError names the findings of cdk-nag."""
    try:
        return app.synth()
    except RuntimeError as error:  # all that CDK's core ever raises
        kind, _, findings = str(error).partition(": ")
        if kind != "ValidationFailed":
            raise
        raise PermanentError(
            f"{findings.strip()}\nmend them, or give the reason in infra/acknowledged.py"
        ) from error
