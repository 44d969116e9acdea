"""`xencbt allure`: one page by the npm program `allure`, from which nothing loads anything from elsewhere."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from xencbt.harness.errors import HarnessError, UsageError
from xencbt.reports import allure
from xencbt.reports.plain import one_line
from xencbt.reports.run_json import Run
from xencbt.reports.words import target_name
from xencbt.reports.write import replace_file

PINNED = "3.18.0"
"""The version whose configuration and page are known here; others name things otherwise."""

DEADLINE_S = 300.0

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' data: blob:; style-src 'unsafe-inline' data: blob:; "
    "img-src data: blob:; font-src data:; media-src data: blob:; frame-src data: blob:; connect-src data: blob:; "
    "form-action 'none'"
)
"""What the page may load: what it carries, and nothing else, whatever its scripts try."""

_ELSEWHERE = re.compile(r"""<script\b[^>]*\bsrc=["']?(?:https?:)?//[^>]*>\s*</script>""", re.IGNORECASE)
_INLINE = re.compile(r"<script\b[^>]*>(.*?)</script>", re.IGNORECASE | re.DOTALL)
_LOADING = re.compile(
    r"""<(?:script|link|img|iframe|object|embed|base)\b[^>]{0,500}?\b(?:src|href|data)=["']?(?:https?:)?//""",
    re.IGNORECASE,
)


class NoAllure(HarnessError):
    """The program is not there, is of another version, or did not do its work."""


def generate(run: Run, page: Path, history: Path, environment: Mapping[str, str]) -> None:
    """Write `page` for `run`, and remember the run in the file `history`, from which the page tells of earlier ones.

    Raises NoAllure where the program cannot be used or fails, UsageError for a history that is none; both files are
    then as they were.
    """
    program = _program(environment)
    name = f"xencbt {target_name(run['target'])}, {run['started']}, seed {run['seed']}"
    with TemporaryDirectory() as making:
        folder = Path(making)
        _lay_out(run, name, folder, _earlier(history, name))
        _call([program, "generate", "--config", "allurerc.mjs", "--cwd", making, "allure-results"], folder, environment)
        made = folder / "page" / "index.html"
        if not made.is_file():
            raise NoAllure(f"{program} made no page")
        replace_file(page, without_tracking(made.read_text(encoding="utf-8")).encode("utf-8"))
        replace_file(history, (folder / "history.jsonl").read_bytes())


def _program(environment: Mapping[str, str]) -> str:
    install = f"npm install --global allure@{PINNED}"
    program = shutil.which("allure", path=environment.get("PATH"))
    if program is None:
        raise NoAllure(f"the program `allure` is not on PATH: {install} (needs Node.js)")
    version = _call([program, "--version"], Path.cwd(), environment).strip()
    if version != PINNED:
        raise NoAllure(f"{program} is version {one_line(version)[:40]}, this needs {PINNED}: {install}")
    return program


def _earlier(history: Path, name: str) -> str:
    """Return the lines of `history` without those of the run `name` itself, so that a page made again is no new run."""
    if not history.exists():
        return ""
    try:
        lines = [line for line in history.read_text(encoding="utf-8").split("\n") if line]
        return "".join(f"{line}\n" for line in lines if json.loads(line)["name"] != name)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{history} is no history of Allure: {type(error).__name__}: {error}") from error


def _lay_out(run: Run, name: str, folder: Path, earlier: str) -> None:
    results = folder / "allure-results"
    results.mkdir()
    for file, content in allure.render(run).items():
        (results / file).write_bytes(content)
    (folder / "history.jsonl").write_text(earlier, encoding="utf-8")
    configuration = {
        "name": name,
        "output": str(folder / "page"),
        "historyPath": str(folder / "history.jsonl"),
        "plugins": {"awesome": {"options": {"singleFile": True, "reportLanguage": "en", "reportName": name}}},
    }
    (folder / "allurerc.mjs").write_text(f"export default {json.dumps(configuration)};\n", encoding="utf-8")


def _call(words: list[str], folder: Path, environment: Mapping[str, str]) -> str:
    """Run a program that is told no secret of ours and ends in time; return what it printed."""
    told = {name: value for name, value in environment.items() if not name.startswith("XENCBT_")} | {"NO_COLOR": "1"}
    try:
        process = subprocess.Popen(  # noqa: S603  the program that the user installed, and words of ours
            words,
            cwd=folder,
            env=told,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise NoAllure(f"{words[0]} cannot be started: {error}") from error
    with process:
        try:
            said, _ = process.communicate(timeout=DEADLINE_S)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise NoAllure(f"{words[0]} did not end within {DEADLINE_S:.0f} s") from error
            raise
    text = said.decode("utf-8", "replace")
    if process.returncode != 0:
        raise NoAllure(f"{words[0]} failed with exit code {process.returncode}: {one_line(text)[-400:]}")
    return text


def without_tracking(page: str) -> str:
    """Return Allure's page without what it loads from elsewhere, under a policy that lets it load nothing.

    Raises NoAllure where something that loads is left: then the page is another one than is known here.
    """
    clean = _INLINE.sub(lambda found: "" if "dataLayer" in found[1][:200] else found[0], _ELSEWHERE.sub("", page))
    if _LOADING.search(clean) or "<head>" not in clean:
        raise NoAllure(f"the page that allure made is not as version {PINNED} makes it")
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    return clean.replace("<head>", f"<head>{policy}", 1)
