"""Numbers of a run for CloudWatch, in a line that it takes out of the function's log. Pure.

The form is CloudWatch's embedded metric format: no request, no permission, nothing that can fail.
"""

import json
from collections.abc import Mapping

from pipelines.glacier.run.response import Answer

NAMESPACE = "Towpath/Glacier"
_COUNTS = ("scenes_found", "scenes_written", "scenes_present", "scenes_pending", "uploaded_files")


def metrics_line(answer: Answer, *, seconds: float, milliseconds: int) -> str:
    """Return the line; `milliseconds` is the time of the epoch."""
    body = answer.body
    numbers: Mapping[str, object] = {
        **{name: body[name] for name in _COUNTS if name in body},
        "upload_failures": len(_listed(body.get("upload_failures"))),
        "failed_runs": int(answer.status in {"failed", "invalid"}),
        "partial_runs": int(answer.status == "partial"),
        "duration_seconds": round(seconds, 3),
        "peak_memory_bytes": body.get("peak_memory_bytes", 0),
    }
    units = {"duration_seconds": "Seconds", "peak_memory_bytes": "Bytes"}
    named = [{"Name": name, "Unit": units.get(name, "Count")} for name in numbers]
    about = {"Namespace": NAMESPACE, "Dimensions": [["satellite"]], "Metrics": named}
    document = {
        "_aws": {"Timestamp": milliseconds, "CloudWatchMetrics": [about]},
        "satellite": body.get("satellite", "unknown"),
        "job_name": body.get("job_name", "unknown"),
        "status": answer.status,
        **numbers,
    }
    return json.dumps(document)


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []
