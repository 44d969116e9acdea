"""What goes into a stand-alone script besides, where a call is made in the background: this module's own text."""

import time
import xmlrpc.client
from typing import Any

from xencbt.harness.witness.standalone import DEADLINE_S, Host, Trouble


def in_background(host: Host, method: str, *params: object) -> dict[str, Any]:
    """Make a call in the background, wait for the end of its task, and return what came of the call itself."""
    begun = host.attempt(f"Async.{method}", *params)
    if "failed" in begun:
        return begun
    task, token, status = begun["ok"], "", "pending"
    end = time.monotonic() + DEADLINE_S
    while status in ("pending", "cancelling"):
        if time.monotonic() > end:
            raise Trouble(f"the task of {method} does not end")
        batch = host.call("event.from", [f"task/{task}"], token, 30.0)
        token = batch["token"]
        for event in batch["events"]:
            status = event.get("snapshot", {}).get("status", status)
    try:
        if status != "success":
            code, *about = host.call("task.get_error_info", task) or [status]
            return {"failed": code, "params": about}
        result = host.call("task.get_result", task)
    finally:
        host.attempt("task.destroy", task)
    return {"ok": xmlrpc.client.loads(f"<params><param>{result}</param></params>")[0][0] if result else ""}
