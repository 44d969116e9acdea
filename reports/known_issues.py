"""Allure's file of known issues: a projection of what a run found known, beside the result files."""

import json

from xencbt.harness.verdicts import Verdict
from xencbt.reports.allure import history_id
from xencbt.reports.run_json import Run


def render(run: Run) -> bytes:
    """Return what the npm program `allure` takes as its known issues: a list, by the id of a test's history."""
    known = [
        {
            "historyId": history_id(test["id"]),
            "issues": [{"name": issue["id"], "url": issue["link"], "type": "issue"}],
            "comment": f"{issue['owner']}, until {issue['expires']}",
        }
        for test in run["tests"]
        if (issue := test.get("issue")) and test["verdict"] == Verdict.KNOWN.value
    ]
    return (json.dumps(known, ensure_ascii=False, indent=2) + "\n").encode("utf-8", "backslashreplace")
