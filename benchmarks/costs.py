"""Make suites/costs.json, by which a plan estimates: `python benchmarks/costs.py xencbt-out/run.json`.

The run must be one of an emulated host with everything in it, for example `xencbt run --seed 1`.
"""

import json
import sys
from pathlib import Path
from typing import Any

TABLE = Path(__file__).resolve().parent.parent / "suites" / "costs.json"


def table(run: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        test["id"]: {name: test[name] for name in ("calls", "examples", "created", "largest_disk")}
        for test in sorted(run["tests"], key=lambda test: str(test["id"]))
        if test["verdict"] == "pass" and test["requirement"]
    }


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    rows = table(json.loads(Path(arguments[0]).read_text(encoding="utf-8")))
    lines = [f"  {json.dumps(test)}: {json.dumps(cost)}" for test, cost in rows.items()]
    TABLE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    print(f"{len(rows)} tests in {TABLE}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
