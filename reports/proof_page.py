"""A proof as a fragment of a page: the kill matrix, to be put into documentation."""

from collections.abc import Sequence
from html import escape

from xencbt.harness.catalogue import CATALOGUE
from xencbt.reports.proof_text import Told

STYLE = """<style>
.kills { border-collapse: collapse; font: 12px/1.3 system-ui, sans-serif; }
.kills th, .kills td { border: 1px solid #ddd; padding: 1px 4px; }
.kills thead th { writing-mode: vertical-rl; font-weight: normal; }
.kills tbody th { text-align: left; font-weight: normal; white-space: nowrap; }
.kills .declared { background: #1a7f37; color: #fff; }
.kills .also { background: #aceebb; }
.kills .missed { background: #cf222e; color: #fff; }
</style>"""


def fragment(told: Told) -> str:
    """Return the matrix as HTML: a row a defect, a column a requirement that a defect breaks or a run failed."""
    rows = told["defects"]
    met = {each for row in rows for each in (*row["breaks"][:1], *row["failed"])}
    columns = [row.id for row in CATALOGUE if row.id in met]
    score = told["score"]
    head = "".join(f'<th scope="col">{each}</th>' for each in columns)
    body = "\n".join(_row(row, columns) for row in rows)
    return f"""{STYLE}
<p>{score["killed"]} of {score["of"]} defects of level must killed by design (xencbt {escape(told["suite"]["version"])},
seed {told["seed"]}, {escape(told["started"][:10])}). Dark: the declared requirement failed; light: another failed as
well; red: the declared requirement did not fail.</p>
<table class="kills"><thead><tr><th scope="col">defect</th>{head}
<th scope="col">calls</th><th scope="col">seconds</th></tr></thead>
<tbody>
{body}
</tbody></table>
"""


def _row(row: Told, columns: Sequence[str]) -> str:
    cells = "".join(_cell(row, each) for each in columns)
    name, what = escape(row["name"]), escape(row["what"], quote=True)
    return f'<tr><th scope="row" title="{what}">{name}</th>{cells}<td>{row["calls"]}</td><td>{row["seconds"]}</td></tr>'


def _cell(row: Told, requirement: str) -> str:
    declared, failed = requirement == row["breaks"][0], requirement in row["failed"]
    kind, sign, word = {
        (True, True): ("declared", "●", "killed by design"),
        (False, True): ("also", "●", "failed as well"),
        (True, False): ("missed", "○", row["fate"]),
        (False, False): ("", "", ""),
    }[declared, failed]
    return f'<td class="{kind}" title="{requirement}: {escape(word)}">{sign}</td>' if kind else "<td></td>"
