"""A session with a target: the official XenAPI binding over a transport of ours, one attempt per call, all recorded."""

import json
import re
import time
import xmlrpc.client
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from xml.sax.saxutils import escape

import XenAPI

from xencbt.harness.answers import decode, unwrap
from xencbt.harness.endpoint import Endpoint
from xencbt.harness.errors import HarnessError, TargetUnreachable, UsageError
from xencbt.harness.exchange import KEPT_TEXT, Recorder
from xencbt.harness.masking import MASK, Secrets
from xencbt.harness.outcome import Failed, Indeterminate, Ok, Outcome
from xencbt.harness.transport import Channel, Deadline, Garbled, NoAnswer, NotConnected, Silence
from xencbt.harness.verdicts import Violation
from xencbt.harness.witness.traces import NOBODY, Called

if TYPE_CHECKING:
    from xencbt.harness.guarding import Guard

CALL_DEADLINE_S = 60.0
LOGOUT_DEADLINE_S = 5.0
OTHERS_DEADLINE_S = 10.0
"""How long a host that lets one call hang may take to answer another before it counts as not answering at all."""

KEPT_OUTCOME = 300
KEPT_ADDRESS = 253
API_VERSION = "1.0"
MAY_BE_TLS = ("HTTP 400", "HTTP 3", "closed without an answer", "connection was lost")
"""How a host may answer plain HTTP on a port that is for TLS, or for sending people to one."""

HINT_TLS = "; if that port is for TLS, use https"
ORIGINATOR = "xencbt"

_REFERENCE = re.compile(r"(OpaqueRef:[0-9A-Za-z]{4})[0-9A-Za-z-]{5,}")
_ORIGIN = time.monotonic()


def clock() -> float:
    """Return the seconds since the harness was loaded: the scale on which exchanges are placed."""
    return time.monotonic() - _ORIGIN


class MemberOfPool(TargetUnreachable):
    """A login was refused because the host is a member of a pool; `master` is the address that it named, as text."""

    def __init__(self, endpoint: Endpoint, master: str) -> None:
        super().__init__(f"{endpoint.url} is a member of a pool with the master {master[:KEPT_ADDRESS]!r}")
        self.master = master


class OneAttempt(xmlrpc.client.Transport):
    """The binding's transport, without the silent second sending of the standard one; keeps both bodies as text."""

    def __init__(self, endpoint: Endpoint, deadline_s: float) -> None:
        super().__init__()
        self.channel = Channel(endpoint)
        self.deadline_s = deadline_s
        self.sent = ""
        self.received = ""

    def request(self, host: Any, handler: str, request_body: Any, verbose: bool = False) -> tuple[Any, ...]:  # noqa: ARG002, FBT001, FBT002  the base's signature
        """Send one call and return the decoded values; raises NoAnswer or one of its kinds."""
        body = bytes(request_body)
        self.sent, self.received = body.decode("utf-8", "replace"), ""
        answer = self.channel.post(handler, "text/xml", body, Deadline(self.deadline_s))
        self.received = answer.body.decode("utf-8", "replace")
        if answer.status != 200:
            raise Garbled(f"HTTP {answer.status} {answer.reason}")
        return decode(answer.body)


class Binding(XenAPI.Session):  # type: ignore[misc]  # the binding carries no types
    """The official binding with its retries and re-logins taken out: one call is one request, whatever comes."""

    def __init__(self, endpoint: Endpoint, deadline_s: float) -> None:
        self.once = OneAttempt(endpoint, deadline_s)
        super().__init__(f"{endpoint.url}/", transport=self.once, allow_none=False)

    def xenapi_request(self, methodname: str, params: tuple[Any, ...]) -> object:
        """Send one call as it is; raises XenAPI.Failure for every refusal, SESSION_INVALID among them."""
        answer = getattr(self, methodname)(*params)
        if methodname == "system.listMethods" and isinstance(answer, list):
            return answer
        return unwrap(answer)


class Session:
    """A logged-in session: every call gives an Outcome, and every exchange is recorded, masked.

    Not for use by several threads at once: open one session for each. A `guard` is asked before each call. Where
    `disturbed` is set, lost answers are ours, and say nothing of the host; else each tells the recorder's breaker.
    `beside` is set on sessions that a test opens beside the run's own.
    """

    def __init__(
        self, endpoint: Endpoint, user: str, recorder: Recorder, *, deadline_s: float = CALL_DEADLINE_S
    ) -> None:
        self.endpoint = endpoint
        self.user = user
        self.recorder = recorder
        self.deadline_s = deadline_s
        self.disturbed = False
        self.beside = False
        self.guard: Guard | None = None
        self.ref = ""
        self.uuid = ""
        self._binding = Binding(endpoint, deadline_s)
        self._numbering: list[list[tuple[int, str]]] = []

    @classmethod
    def login(
        cls,
        endpoint: Endpoint,
        user: str,
        password: str,
        recorder: Recorder,
        *,
        deadline_s: float = CALL_DEADLINE_S,
        follow: bool = True,
    ) -> "Session":
        """Log in as `user`; a member of a pool leads to its master, once, which is trusted by the same rules.

        `endpoint` of the session is then the master's. Without `follow` a member is an error. Raises TargetUnreachable,
        saying which: no connection, no TLS, no XenAPI there, or credentials refused.
        """
        keep_secret(recorder.secrets, password)
        try:
            return cls._at(endpoint, user, password, recorder, deadline_s)
        except MemberOfPool as member:
            if not follow:
                raise
            try:
                master = endpoint.moved_to(member.master)
            except UsageError as error:
                raise TargetUnreachable(f"{member}, which is not followed: {error}") from error
            try:
                return cls._at(master, user, password, recorder, deadline_s)
            except TargetUnreachable as error:
                raise TargetUnreachable(f"{member}, which was followed; there: {error}") from error

    @classmethod
    def _at(cls, endpoint: Endpoint, user: str, password: str, recorder: Recorder, deadline_s: float) -> "Session":
        session = cls(endpoint, user, recorder, deadline_s=deadline_s)
        try:
            session._log_in(password)
        except TargetUnreachable:
            session._binding.once.channel.close()
            raise
        return session

    def __repr__(self) -> str:
        return f"Session({self.endpoint.url}, {self.user}, {self.uuid})"

    def call(self, method: str, *params: object, deadline_s: float | None = None) -> Outcome:
        """Call `Class.method` with the session reference put first; `system.` methods take none.

        Integers travel as decimal strings, as the XenAPI wants them, and times come back as text. Never raises for a
        refusal, a lost answer or protocol garbage, but what the guard raises. `deadline_s` bounds this call alone.
        """
        self.fence(method, *params)
        wire = tuple(_wire(param) for param in params)
        if not method.startswith("system."):
            wire = (self.ref, *wire)
        once = self._binding.once
        once.deadline_s = self.deadline_s if deadline_s is None else deadline_s
        started = clock()
        outcome = self._outcome(method, wire)
        if isinstance(outcome, Indeterminate) and (self.disturbed or self.beside or deadline_s is not None):
            outcome = replace(outcome, silent=False)
        if isinstance(outcome, Ok) and isinstance(outcome.value, dict):
            keep_secret(
                self.recorder.secrets, str(outcome.value.get("session_id", ""))
            )  # host.migrate_receive gives one
        self._record(method, params, outcome, started, once.received)
        self._note(method, params, outcome, started, deadline_s)
        if not self.disturbed:
            self._tell_breaker(method, outcome)
        return outcome

    def _note(
        self, method: str, params: tuple[object, ...], outcome: Outcome, began: float, deadline_s: float | None
    ) -> None:
        called = Called(
            method,
            params,
            outcome,
            user=self.user,
            disturbed=self.disturbed,
            line=id(self) if self.beside else NOBODY,
            deadline_s=deadline_s if deadline_s is not None or not self.beside else self.deadline_s,
            began=began,
            ended=clock(),
        )
        self.recorder.note(called)

    @contextmanager
    def numbering(self) -> Iterator[list[tuple[int, str]]]:
        """Yield a list that grows, inside, by number in the record and method of each call of this session."""
        numbers: list[tuple[int, str]] = []
        self._numbering.append(numbers)
        try:
            yield numbers
        finally:
            self._numbering = [each for each in self._numbering if each is not numbers]

    def fence(self, method: str, *params: object) -> None:
        """Ask the guard, if there is one, whether a call may be made; raises NotRun or HarnessError where not."""
        if self.guard is not None:
            self.guard.check(self.call, method, *params)

    def _tell_breaker(self, method: str, outcome: Outcome) -> None:
        breaker = self.recorder.breaker
        if isinstance(outcome, Indeterminate):
            breaker.lost(f"{method}: {self.recorder.secrets.mask(outcome.why)}")
        else:
            breaker.answered()

    def value(self, method: str, *params: object) -> Any:
        """Return the value of a call that must succeed.

        Raises Violation when it is refused, what `unanswered` returns when no answer came.
        """
        outcome = self.call(method, *params)
        if isinstance(outcome, Ok):
            return outcome.value
        step = self.step(method, params)
        if isinstance(outcome, Failed):
            actual = self.recorder.secrets.mask(str(outcome))
            raise Violation(f"{step} was refused", expected=("it succeeds",), actual=actual)
        raise self.unanswered(step, outcome)

    def unanswered(
        self, what: str, outcome: Indeterminate, expected: Iterable[str] = ("it is answered",)
    ) -> Violation | HarnessError:
        """Return what it means that `what` (a phrase) had no usable answer: `outcome`.

        A host that was silent, and meanwhile answers another call, is at fault: Violation. Else nobody can tell it from
        a lab that broke: HarnessError.
        """
        mask = self.recorder.secrets.mask
        if outcome.silent and self._answers_others():
            return Violation(
                f"{what} was never answered",
                expected=map(mask, expected),
                actual=mask(f"{outcome}, while another call was answered"),
            )
        return HarnessError(f"{what}: {mask(str(outcome))}")

    def _answers_others(self) -> bool:
        other = self.over_another_connection()
        other._binding.once.deadline_s = OTHERS_DEADLINE_S
        began, method = clock(), "session.get_uuid"
        outcome = other._outcome(method, (self.ref, self.ref))
        other._record(method, (self.ref,), outcome, began, other._binding.once.received)
        other.abandon()
        return not isinstance(outcome, Indeterminate)

    def step(self, method: str, params: tuple[object, ...]) -> str:
        """Write a call as a person would, masked and with short references: `VDI.enable_cbt("OpaqueRef:1234…")`."""
        shown = ", ".join(_shown(param) for param in params)
        return shorten(self.recorder.secrets.mask(f"{method}({shown})"))

    def over_another_connection(self) -> "Session":
        """Return this same session over a connection of its own, for a call beside this one's; to be abandoned."""
        other = Session(self.endpoint, self.user, self.recorder, deadline_s=self.deadline_s)
        other.ref, other.uuid = self.ref, self.uuid
        other.guard, other.disturbed = self.guard, self.disturbed
        return other

    def close(self) -> None:
        """Log out if the host still answers, and close the connection. Closing twice does nothing more."""
        if self.ref:
            self.call("session.logout", deadline_s=min(LOGOUT_DEADLINE_S, self.deadline_s))
            self.ref = ""
        self._binding.once.channel.close()

    def abandon(self) -> None:
        """Close the connection without logging out, for a session that its host has already ended."""
        self.ref = ""
        self._binding.once.channel.close()

    def _log_in(self, password: str) -> None:
        started = clock()
        outcome = self._outcome("session.login_with_password", (self.user, password, API_VERSION, ORIGINATOR))
        if isinstance(outcome, Ok) and isinstance(outcome.value, str):
            self.ref = outcome.value
            keep_secret(self.recorder.secrets, self.ref)
        shown = f"(not kept: {len(self._binding.once.received)} characters that may carry a session)"
        self._record("session.login_with_password", (self.user, MASK), outcome, started, shown)
        if isinstance(outcome, Failed) and outcome.code == "HOST_IS_SLAVE" and outcome.params:
            raise MemberOfPool(self.endpoint, outcome.params[0])
        if not self.ref:
            raise TargetUnreachable(self._login_trouble(outcome))
        uuid = self.call("session.get_uuid", self.ref)
        if not isinstance(uuid, Ok):
            raise TargetUnreachable(f"{self.endpoint.url} let {self.user!r} in, but session.get_uuid: {uuid}")
        self.uuid = str(uuid.value)

    def _login_trouble(self, outcome: Outcome) -> str:
        where, mask = self.endpoint.url, self.recorder.secrets.mask
        match outcome:
            case Failed("SESSION_AUTHENTICATION_FAILED"):
                return f"{where} refused user {self.user!r}: wrong user name or password"
            case Failed(code):
                return f"{where} refused to log {self.user!r} in: {mask(code)}"
            case Indeterminate(why):
                may_be_tls = self.endpoint.scheme == "http" and any(sign in why for sign in MAY_BE_TLS)
                return f"{where}: {mask(why)}{HINT_TLS if may_be_tls else ''}"
            case Ok():
                return f"{where} does not speak the XenAPI: its login gives no session reference"

    def _told(self, text: str) -> str:
        text = shorten(self.recorder.secrets.mask(text))
        return text if len(text) <= KEPT_OUTCOME else f"{text[:KEPT_OUTCOME]}…"

    def _outcome(self, method: str, params: tuple[Any, ...]) -> Outcome:
        try:
            return Ok(self._binding.xenapi_request(method, params))
        except XenAPI.Failure as failure:
            code, *rest = failure.details
            return Failed(code, tuple(rest))
        except NotConnected as error:
            return Indeterminate(f"{error}; nothing was sent")
        except Garbled as error:
            return Indeterminate(f"something answered, but not as the XenAPI does: {error}")
        except NoAnswer as error:
            return Indeterminate(str(error), silent=isinstance(error, Silence))

    def _record(self, method: str, params: tuple[object, ...], outcome: Outcome, started: float, response: str) -> None:
        came = _came(outcome)
        number = self.recorder.record(
            method=method,
            step=lambda: self.step(method, params),
            outcome=lambda: self._told(came),
            started=started,
            duration_s=clock() - started,
            request=self._binding.once.sent,
            response=response,
        )
        for numbers in self._numbering:
            numbers.append((number, method))


def keep_secret(secrets: Secrets, value: str) -> None:
    """Register `value` in every spelling in which it can travel: as it is, in XML, in a URL, in JSON."""
    for spelling in (value, escape(value), quote(value, safe=""), json.dumps(value)[1:-1]):
        secrets.add(spelling)


def shorten(text: str) -> str:
    """Cut the object references in `text` to what tells them apart for a reader: `OpaqueRef:1234…`."""
    return _REFERENCE.sub(r"\1…", text)


def _came(outcome: Outcome) -> str:
    """Say what came of a call, with the value where it is short."""
    if not isinstance(outcome, Ok) or not isinstance(outcome.value, str | bool) or outcome.value == "":
        return str(outcome)
    if isinstance(outcome.value, str) and len(outcome.value) > KEPT_TEXT:
        return f"ok: {len(outcome.value)} characters"
    return f"ok: {_shown(outcome.value)}"


def _shown(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _wire(value: object) -> object:
    """Integers become decimal strings, containers are walked; everything else is left to the binding."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _wire(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_wire(item) for item in value]
    return value
