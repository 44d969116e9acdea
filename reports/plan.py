"""A plan in words: what a run would do to a target, what it would leave out and why."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from xencbt.reports.layout import hanging
from xencbt.reports.tables import capability_table
from xencbt.reports.words import duration

if TYPE_CHECKING:
    from xencbt.reports.run_json import TargetRow

MIB = 2**20


def short(plan: Mapping[str, Any]) -> str:
    """Return the few lines with which a run begins; `plan` is what `Plan.as_json` gives."""
    return "\n".join([_counts(plan), *_objects(plan), _estimate(plan), *_steps(plan), ""])


def full(plan: Mapping[str, Any]) -> str:
    """Return the whole plan: the target (`plan["target"]`), the short one, and each reason with its tests."""
    warning = plan["target"]["warning"]
    lines = [
        capability_table(cast("TargetRow", plan["target"])),
        *([hanging("warning", warning)] if warning else []),
        "",
    ]
    lines += [_counts(plan), *_objects(plan), _role(plan), _estimate(plan), *_ledger(plan), *_steps(plan)]
    for key, word in (("unsupported", "unsupported"), ("not_run", "not run")):
        for reason, tests in plan[key].items():
            lines += ["", hanging(f"{word:<12}", reason), *(f"  {_name(test)}" for test in tests)]
    for reason, tests in plan["sizes_not_run"].items():
        lines += ["", hanging(f"{'not run':<12}", f"{reason}; with smaller ones these would run")]
        lines += [f"  {_name(test)}" for test in tests]
    lines += ["", "would run", *(f"  {_name(test['id'])}  {', '.join(test['requirement'])}" for test in plan["run"])]
    return "\n".join(lines)


def _counts(plan: Mapping[str, Any]) -> str:
    unsupported, not_run = (sum(map(len, plan[key].values())) for key in ("unsupported", "not_run"))
    counts = f"plan     {len(plan['run'])} tests would run, {unsupported} unsupported, {not_run} not run"
    cut = [f"         not run: {reason}, in {len(tests)} tests" for reason, tests in plan["sizes_not_run"].items()]
    return "\n".join([counts, *cut])


def _objects(plan: Mapping[str, Any]) -> list[str]:
    if not plan["created"]:
        return ["         nothing would be created"]
    kinds = [f"{number} {cls}s" for cls, number in plan["created"].items()]
    most = [f"{number} {cls}s" for cls, number in plan["at_once"].items()]
    largest = f"disks of up to {-(-plan['largest_disk'] // MIB)} MiB"
    return [hanging("         ", f"makes and removes about {', '.join(kinds)}, at a time {', '.join(most)}; {largest}")]


def _role(plan: Mapping[str, Any]) -> str:
    return f"         role {plan['role']} suffices, but for the steps that name another"


def _estimate(plan: Mapping[str, Any]) -> str:
    calls = f"about {plan['calls']} calls, {plan['examples']} examples a property"
    spent = f"at least {duration(plan['duration_s'])} at {1000 * plan['latency_s']:.1f} ms a read"
    guessed = len(plan["unmeasured"])
    if guessed:
        calls += f" ({guessed} tests nobody has measured yet: guessed)"
    limit = "" if plan["budget_s"] is None else f", within a budget of {duration(plan['budget_s'])}"
    return hanging("         ", f"{calls}, {spent}{limit}")


def _ledger(plan: Mapping[str, Any]) -> list[str]:
    replayed = plan["ledger"]["replayed"]
    if not replayed:
        return []
    largest = f"on disks of up to {-(-plan['ledger']['largest_disk'] // MIB)} MiB"
    return [hanging("ledger   ", f"replayed first, {largest}: known issues {', '.join(replayed)}")]


def _steps(plan: Mapping[str, Any]) -> list[str]:
    return [
        hanging(
            f"{'disturbs' if step['allowed'] else 'not done':<9}",
            f"{name}: {step['does']} ({len(step['tests'])} tests, role {step['role']})"
            + ("" if step["allowed"] else f"; consent with --allow {name}"),
        )
        for name, step in plan["disturbing"].items()
    ]


def _name(test: str) -> str:
    return test.removeprefix("suites.test_")
