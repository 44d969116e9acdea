"""Processes side by side: bounded in number, told of line by line, and ended for sure."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from xencbt.harness.side_by_side import Ended, Job, Patience, SideBySide


@dataclass
class Heard:
    lines: list[tuple[str, str]] = field(default_factory=list)
    ended: dict[str, Ended] = field(default_factory=dict)
    on_line: Callable[[str, str], None] = lambda _name, _line: None

    def tell(self, name: str, line: str) -> None:
        self.lines.append((name, line))
        self.on_line(name, line)

    def end(self, ended: Ended) -> None:
        self.ended[ended.name] = ended


def job(name: str, program: str) -> Job:
    return Job(name, (sys.executable, "-c", f"import os, signal, sys, time\n{program}"))


def judged(heard: Heard, *jobs: Job, at_once: int = 4, patience: Patience | None = None) -> SideBySide:
    side = SideBySide(at_once, environment=os.environ, tell=heard.tell, ended=heard.end, patience=patience)
    side.run(jobs)
    return side


def test_lines_and_exit_codes_are_told_by_name() -> None:
    heard = Heard()
    side = judged(heard, job("a", "print('one\\n\\ntwo')"), job("b", "print('x', file=sys.stderr); sys.exit(3)"))
    assert not side.interrupted
    assert [line for name, line in heard.lines if name == "a"] == ["one", "two"]
    assert (heard.ended["a"].code, heard.ended["b"].code, heard.ended["b"].said) == (0, 3, "x")
    assert not heard.ended["a"].trouble


def test_no_more_than_so_many_run_at_once(tmp_path: Path) -> None:
    program = (
        f"open({str(tmp_path)!r} + f'/{{os.getpid()}}', 'x').close(); print(len(os.listdir({str(tmp_path)!r})))\n"
        f"time.sleep(0.05); os.unlink({str(tmp_path)!r} + f'/{{os.getpid()}}')"
    )
    heard = Heard()
    judged(heard, *(job(str(number), program) for number in range(5)), at_once=1)
    assert [line for _, line in heard.lines] == ["1"] * 5


def test_one_that_is_killed_is_told_by_its_signal() -> None:
    heard = Heard()
    judged(heard, job("a", "os.kill(os.getpid(), signal.SIGKILL)"), job("b", "pass"))
    assert (heard.ended["a"].code, heard.ended["b"].code) == (-signal.SIGKILL, 0)


def test_one_that_hangs_is_told_to_end_then_killed_and_the_others_are_not_touched() -> None:
    heard = Heard()
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    polite = "print('polite', flush=True); time.sleep(60)"
    judged(heard, job("deaf", deaf), job("polite", polite), job("good", "pass"), patience=Patience(1.0, 0.5))
    assert "it hung: nothing was heard of it for 1 s; it did not end by itself" in heard.ended["deaf"].trouble
    assert heard.ended["deaf"].code == -signal.SIGKILL
    assert heard.ended["polite"].code == -signal.SIGTERM
    assert (heard.ended["good"].code, heard.ended["good"].trouble) == (0, "")


def test_what_a_killed_one_had_started_does_not_keep_the_lab_waiting() -> None:
    """A grandchild in the same group holds the pipe open; it is killed with its parent."""
    heard = Heard()
    program = (
        "import subprocess; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); print('on', flush=True)\n"
        "time.sleep(60)"
    )
    judged(heard, job("a", program), patience=Patience(0.5, 0.5))
    assert heard.ended["a"].duration_s < 30


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_reaches_every_running_one_once_and_none_begins_after_it(signum: signal.Signals) -> None:
    program = (
        "import threading\n"
        "def end(*_): os.write(1, b'told\\n'); sys.exit(130)\n"  # a print may be under way when the signal comes
        "signal.signal(signal.SIGTERM, end); print('ready', flush=True); threading.Event().wait(60)"
    )
    heard = Heard()

    def interrupt(_name: str, line: str) -> None:
        if line == "ready" and sum(told == "ready" for _, told in heard.lines) == 2:
            os.kill(os.getpid(), signum)

    heard.on_line = interrupt
    before = signal.getsignal(signum)
    side = judged(heard, job("a", program), job("b", program), job("c", program), at_once=2)
    assert side.interrupted
    assert sorted(name for name, line in heard.lines if line == "told") == ["a", "b"]
    assert [heard.ended[name].code for name in "abc"] == [130, 130, None]
    assert heard.ended["c"].trouble == "interrupted before it began"
    assert signal.getsignal(signum) is before
    assert threading.current_thread() is threading.main_thread()


def test_a_second_interrupt_does_not_wait_for_cleaning_up() -> None:
    program = "signal.signal(signal.SIGTERM, lambda *_: os.write(1, b'told\\n')); print('ready', flush=True)\n"
    program += "end = time.monotonic() + 60\nwhile time.monotonic() < end: time.sleep(0.1)"
    heard = Heard()
    heard.on_line = lambda _name, _line: os.kill(os.getpid(), signal.SIGINT)
    judged(heard, job("a", program))
    assert heard.ended["a"].code == -signal.SIGKILL
    assert "was killed" in heard.ended["a"].trouble
