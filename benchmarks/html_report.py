"""report.html of 5,000 failed tests: `python benchmarks/html_report.py [TESTS]`.

Its size, and its time beside that of Jinja2 for a page of as many bytes without evidence. Exits 1 where the page has
20 MiB or more, or takes more than 3 times as long.
"""

import random
import sys
import time
from collections.abc import Callable
from typing import Any

import jinja2

from xencbt.harness.bitmap import Bitmap
from xencbt.harness.blockmap import BlockMap
from xencbt.harness.catalogue import CATALOGUE
from xencbt.harness.findings import Evidence, Finding
from xencbt.harness.verdicts import Verdict
from xencbt.reports import html
from xencbt.reports.document import build
from xencbt.reports.run_json import Run

TESTS = 5000
MOST_BYTES = 20 << 20
MOST_TIMES = 3.0
SIZE = 16 << 20

PLAIN = """<!doctype html><html><body><table>{% for row in rows %}
<tr class="{{ row.verdict }}"><td>{{ row.id }}</td><td>{{ row.statement }}</td><td>{{ row.reason }}</td></tr>
{% endfor %}</table></body></html>"""


def draw(number: int, choices: random.Random) -> Finding:
    """Make a failed test as a real one is: references, tokens and bitmaps differ in each."""

    def reference() -> str:
        return f"OpaqueRef:{choices.getrandbits(128):032x}"

    expected, reported = (frozenset(choices.sample(range(256), 12)) for _ in range(2))
    disk, baseline = reference(), reference()
    steps = [
        f'VDI.create({{"SR": "{reference()}", "other_config": {{"xencbt": "{choices.getrandbits(192):048x}"}}}}) → ok'
    ]
    steps += [f'PUT /import_raw_vdi("{disk}", {choices.randrange(9)} ranges, 65536 bytes) → ok' for _ in range(12)]
    bitmap = Bitmap.of(reported, SIZE)
    steps += [f'VDI.list_changed_blocks("{baseline}", "{disk}") → ok: "{bitmap.to_base64()}"']
    exchange = {
        "number": number,
        "method": "VDI.list_changed_blocks",
        "step": steps[-1],
        "outcome": "ok",
        "started": 1.0,
        "duration_s": choices.random(),
        "request": "<?xml version='1.0'?>\n<methodCall>\n"
        + "".join(f"<param>\n<value><string>{reference()}</string></value>\n</param>\n" for _ in range(3)),
        "response": f"<methodResponse><value>{bitmap.to_base64()}</value></methodResponse>",
    }
    told = BlockMap.of(bitmap, expected, between=(baseline, disk), size=SIZE).as_json()
    return Finding(
        f"suites.test_made_up::test_number_{number}",
        (choices.choice(list(CATALOGUE)).id,),
        Verdict.FAIL,
        f"a backup would lose block {min(expected)}",
        examples=100,
        calls=1000,
        duration_s=choices.random(),
        evidence=Evidence(
            expected=(f"at least {sorted(expected)} marked",),
            actual=f"{sorted(reported)} of 256 bits",
            steps=tuple(steps),
            exchange=exchange,
            rerun=f"xencbt run --seed {number} --requirement LIST-02 -- -k test_number_{number}",
            traceback="\n".join(f"suites/test_made_up.py:{choices.randrange(500)}: in test" for _ in range(25)),
            bitmap=told,
        ),
    )


def made_up(tests: int) -> Run:
    choices = random.Random(1)
    findings = [draw(number, choices) for number in range(tests)]
    events: list[dict[str, Any]] = [
        {
            "event": "run_started",
            "schema": "xencbt.events/1",
            "time": "2026-03-01T10:00:00+00:00",
            "seed": 1,
            "speed": "quick",
            "profile": "documented",
            "strict": False,
            "suite": {"version": "0.1.0", "catalogue_hash": "0"},
            "command": "xencbt run",
            "selection": {"suites": [], "requirements": [], "filtered": False},
        }
    ]
    return build(events + [{"event": "test_finished", **one.as_json()} for one in findings])


def fastest(make: Callable[[], object], times: int = 3) -> float:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        make()
        taken.append(time.perf_counter() - began)
    return min(taken)


def main(arguments: list[str]) -> int:
    tests = int(arguments[0]) if arguments else TESTS
    run = made_up(tests)
    page = html.render(run)
    taken = fastest(lambda: html.render(run))
    template = jinja2.Environment(autoescape=True).from_string(PLAIN)
    rows = [{"verdict": "fail", "id": "LIST-02", "statement": "Safety: every <block>", "reason": "lost"}]
    rows *= max(1, len(page) // (len(template.render(rows=rows * 100)) // 100))
    plain, plainly = len(template.render(rows=rows)), fastest(lambda: template.render(rows=rows))
    print(f"{tests} failed tests with evidence: {len(page) / 2**20:.1f} MiB in {taken:.2f} s")
    print(f"Jinja2 alone: {plain / 2**20:.1f} MiB in {plainly:.2f} s; {taken / plainly:.1f} times that")
    return int(len(page) >= MOST_BYTES or taken > MOST_TIMES * plainly)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
