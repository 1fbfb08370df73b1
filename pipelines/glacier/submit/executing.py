"""Handing all jobs of a submission to the state machine.

The jobs are stored first, then the execution is started: under the submission's own name, so that
asking again, whatever became of the first answer, starts nothing twice.
"""

from pipelines.glacier.submit.asking import Asking, said
from pipelines.glacier.submit.plan import Execution, Outcome
from shared.s3.errors import ObjectError, OutcomeUnknown, Unreachable
from shared.s3.store import ObjectStore, PutOptions

_STORE_SECONDS = 600.0
_THERE_ALREADY = "ExecutionAlreadyExists"
"""It has ended already: while it is at work, the same request is answered as the first one was."""


async def execute(execution: Execution, asking: Asking, store: ObjectStore) -> Outcome:
    """Start the execution and say how that went; its id is its ARN."""
    options = PutOptions(content_type="application/json")
    try:
        await store.put(
            execution.document, execution.content, options=options, deadline=_STORE_SECONDS
        )
    except ObjectError as error:
        return Outcome(accepted=False, error=f"{execution.document} was not stored: {said(error)}")
    try:
        return Outcome(accepted=True, id=await asking.retried(lambda: _start(execution, asking)))
    except ObjectError as error:
        if error.code == _THERE_ALREADY:
            return Outcome(accepted=True, id=_arn(execution))
        doubt = isinstance(error, Unreachable)
        look = f"; see whether {_arn(execution)} is there before it is sent again" if doubt else ""
        return Outcome(accepted=False, error=f"{said(error)}{look}")


async def _start(execution: Execution, asking: Asking) -> str:
    try:
        answer = await asking.once("stepfunctions", "start_execution", execution.request)
    except OutcomeUnknown as error:
        raise Unreachable(error.uri, error.answer) from error
    return str(answer["executionArn"])


def _arn(execution: Execution) -> str:
    machine = str(execution.request["stateMachineArn"])
    return f"{machine.replace(':stateMachine:', ':execution:')}:{execution.request['name']}"
