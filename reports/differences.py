"""How two runs differ besides their verdicts, and which differences make comparing them meaningless; pure."""

from collections.abc import Iterator, Mapping

from xencbt.reports.run_json import CapabilityRow, Run
from xencbt.reports.words import target_name


def obstacles(old: Run, new: Run, *, common: int) -> Iterator[str]:
    """Yield why the runs cannot be compared, `common` being how many requirements both judged; nothing if they can."""
    for name, run in (("old", old), ("new", new)):
        if run["target"] is None:
            yield f"the {name} run never reached its target"
        elif not run["complete"]:
            yield f"the {name} run did not come to its end"
        elif run["problems"]:
            yield f"the {name} run broke outside its tests: {run['problems'][0]['reason']}"
    if old["profile"] != new["profile"]:
        yield f"they were judged by different profiles: {old['profile']} and {new['profile']}"
    if old["target"] and new["target"] and old["target"]["kind"] != new["target"]["kind"]:
        yield "one judged an emulated host, the other a host that is none"
    if not common:
        yield "they have no requirement in common"


def notes(old: Run, new: Run) -> Iterator[str]:
    """Yield what a reader must know about two runs before believing that only the target changed."""
    if old["target"] and new["target"]:
        before, after = target_name(old["target"]), target_name(new["target"])
        if before != after:
            yield f"target: {before} → {after}"
    yield from _suite(old, new)
    for name in ("seed", "speed"):
        if old[name] != new[name]:
            yield f"{name}: {old[name]} → {new[name]}"
    if old["strict"] != new["strict"]:
        yield f"strict: {_on(old['strict'])} → {_on(new['strict'])} (what decides is taken from the new run)"
    if _selection(old) != _selection(new):
        yield f"selection: {_selection(old)} → {_selection(new)}"


def _suite(old: Run, new: Run) -> Iterator[str]:
    before, after = old["suite"], new["suite"]
    if before["version"] != after["version"]:
        yield f"suite: {before['version']} → {after['version']}"
    if before["catalogue_hash"] != after["catalogue_hash"]:
        yield f"catalogue: {before['catalogue_hash'][:12]} → {after['catalogue_hash'][:12]}"
    known = before.get("files_hash"), after.get("files_hash")
    if all(known) and known[0] != known[1] and before["version"] == after["version"]:
        yield "the files of the suite differ, although the version is the same"
    for name, suite in (("old", before), ("new", after)):
        if suite.get("modified"):
            yield f"the {name} run's suite was not as installed: {'; '.join(suite.get('changed', ())[:3])}"


def _on(switch: bool) -> str:  # noqa: FBT001  the value that is put in words
    return "on" if switch else "off"


def _selection(run: Run) -> str:
    chosen = run["selection"]
    named = [f"suite {name}" for name in chosen["suites"]] + chosen["requirements"]
    return ", ".join(named) or ("a part" if chosen["filtered"] else "everything")


def gained_and_lost(old: Run, new: Run) -> tuple[tuple[CapabilityRow, ...], tuple[CapabilityRow, ...]]:
    """Return the capabilities that the target has now and had not, and those that it had and has no more."""
    before, after = _capabilities(old), _capabilities(new)
    had = {name for name, one in before.items() if one["present"]}
    has = {name for name, one in after.items() if one["present"]}
    gained = tuple(after[name] for name in after if name in has - had)
    lost = tuple(after.get(name) or _unheard(name) for name in before if name in had - has)
    return gained, lost


def _unheard(name: str) -> CapabilityRow:
    return CapabilityRow(name=name, present=False, detail="the new run does not speak of it")


def _capabilities(run: Run) -> Mapping[str, CapabilityRow]:
    return {one["name"]: one for one in run["target"]["capabilities"]} if run["target"] else {}
