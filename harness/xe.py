"""Access to xe: over the thin CLI on the target's own port, or by a command of the user's."""

import os
import re
import selectors
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from typing import Protocol

from xencbt.harness.endpoint import Endpoint
from xencbt.harness.exchange import Recorder
from xencbt.harness.masking import MASK
from xencbt.harness.outcome import Indeterminate
from xencbt.harness.session import clock, keep_secret
from xencbt.harness.thincli import BadTalk, Talk, request
from xencbt.harness.transport import CHUNK, Channel, Deadline, Garbled, NoAnswer, send
from xencbt.harness.xe_words import XeResult

XE_DEADLINE_S = 60.0
OUTPUT_BYTES = 32 * 2**20
STOP_DEADLINE_S = 5.0
LINGER_S = 0.2
KEPT_OUTCOME = 300

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=:-]*")
"""Words that no shell reads in its own way: a user's command may end at one (ssh)."""


class Xe(Protocol):
    """Runs xe commands against the target; each is sent once, bounded in time and size, and recorded masked."""

    def run(self, *words: str, deadline_s: float = XE_DEADLINE_S) -> XeResult | Indeterminate:
        """Run the command `words`; never raises for what the host or the command does."""
        ...


class ThinCli:
    """xe as the target itself speaks it, with the run's credentials."""

    def __init__(self, endpoint: Endpoint, user: str, password: str, recorder: Recorder) -> None:
        keep_secret(recorder.secrets, password)
        self._endpoint = endpoint
        self._user = user
        self._password = password
        self._recorder = recorder

    def __repr__(self) -> str:
        return f"the thin CLI of {self._endpoint.url}"

    def run(self, *words: str, deadline_s: float = XE_DEADLINE_S) -> XeResult | Indeterminate:
        """Run the command `words`; never raises for what the host does."""
        shown = f"POST /cli {' '.join(words)} username={self._user} password={MASK}"
        return _recorded(self._recorder, words, shown, lambda: self._talk(words, Deadline(deadline_s)))

    def _talk(self, words: Sequence[str], deadline: Deadline) -> XeResult | Indeterminate:
        channel = Channel(self._endpoint)
        try:
            with channel.exchange("xe command", deadline) as sock:
                send(sock, [request(words, self._user, self._password)], deadline)
                return _answer(sock, deadline)
        except NoAnswer as error:
            return Indeterminate(str(error))
        finally:
            channel.close()


def _answer(sock: socket.socket, deadline: Deadline) -> XeResult:
    talk = Talk()
    while talk.exit_code is None:
        sock.settimeout(deadline.remaining())
        data = sock.recv(CHUNK)
        if not data:
            raise NoAnswer("the connection was closed in the middle of an xe command")
        try:
            answer = talk.receive(data)
        except BadTalk as error:
            raise Garbled(f"not the thin CLI protocol ({error})") from error
        send(sock, [answer], deadline)
    return XeResult(talk.exit_code, talk.stdout, talk.stderr)


class OwnCommand:
    """A command that runs xe somewhere, for example `ssh HOST xe`; it authenticates by itself.

    No shell runs here, and the words are such that one at the other end reads them as they are. The command gets no
    secret of ours: not on its command line, not on standard input, not in its environment.
    """

    def __init__(self, command: Sequence[str], recorder: Recorder) -> None:
        self._command = tuple(command)
        self._recorder = recorder

    def __repr__(self) -> str:
        return f"the command {self._command[0]!r}"

    def run(self, *words: str, deadline_s: float = XE_DEADLINE_S) -> XeResult | Indeterminate:
        """Run the command `words`; raises ValueError for a word that a shell could read in its own way."""
        for word in words:
            if not _WORD.fullmatch(word):
                raise ValueError(f"{word!r} is no plain word")
        shown = " ".join((*self._command, *words))
        return _recorded(self._recorder, words, shown, lambda: self._process(words, Deadline(deadline_s)))

    def _process(self, words: Sequence[str], deadline: Deadline) -> XeResult | Indeterminate:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("XENCBT_")}
        try:
            process = subprocess.Popen(  # noqa: S603  what the user named, without a shell
                [*self._command, *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            return Indeterminate(f"cannot run {self._command[0]!r}: {error}")
        with process:
            try:
                stdout, stderr = _outputs(process, deadline)
                exit_code = process.wait(deadline.remaining())
            except (TimeoutError, subprocess.TimeoutExpired):
                return Indeterminate(f"the command did not end within {deadline.seconds:g} s")
            except OverflowError:
                return Indeterminate(f"the command wrote more than {OUTPUT_BYTES} bytes")
            finally:
                _end(process)
        return XeResult(exit_code, stdout.decode("utf-8", "replace"), stderr.decode("utf-8", "replace"))


def _outputs(process: "subprocess.Popen[bytes]", deadline: Deadline) -> tuple[bytes, bytes]:
    """Read both outputs to their ends; raises TimeoutError, and OverflowError when it is too much."""
    assert process.stdout is not None
    assert process.stderr is not None
    read = {process.stdout: bytearray(), process.stderr: bytearray()}
    with selectors.DefaultSelector() as selector:
        for pipe in read:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(min(deadline.remaining(), LINGER_S))
            if not ready and process.poll() is not None:
                break  # something it left behind (ssh keeps a master) holds the pipes open
            for key, _ in ready:
                part = os.read(key.fd, CHUNK)
                if not part:
                    selector.unregister(key.fileobj)
                read[process.stdout if key.fileobj is process.stdout else process.stderr] += part
            if sum(map(len, read.values())) > OUTPUT_BYTES:
                raise OverflowError
    return bytes(read[process.stdout]), bytes(read[process.stderr])


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a command that has not ended, and what it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)  # it leads its own group, and is not yet reaped
        process.wait(STOP_DEADLINE_S)


def _recorded(
    recorder: Recorder, words: Sequence[str], shown: str, run: Callable[[], XeResult | Indeterminate]
) -> XeResult | Indeterminate:
    started = clock()
    result = run()
    told = str(result) if isinstance(result, Indeterminate) else _told(result)
    recorder.record(
        method=f"xe {words[0]}",
        step=f"xe {' '.join(words)}",
        outcome=told if len(told) <= KEPT_OUTCOME else f"{told[:KEPT_OUTCOME]}…",
        started=started,
        duration_s=clock() - started,
        request=shown,
        response="" if isinstance(result, Indeterminate) else f"{result.stdout}{result.stderr}",
    )
    return result


def _told(result: XeResult) -> str:
    said = "; ".join(f"{result.stdout}{result.stderr}".strip().splitlines())
    return f"exit {result.exit_code}{f': {said}' if said else ''}"
