"""The command `xencbt clean`: what dead runs left on their targets is removed, as their journals lead to it."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from xencbt.fixtures.cleanup import look, marked, remove_marked, restore
from xencbt.harness.claim import Claim, Taken, claims_folder
from xencbt.harness.endpoint import Endpoint
from xencbt.harness.entries import State, UnreadableJournal, not_restored, still_there
from xencbt.harness.errors import HarnessError, TargetUnreachable, UsageError
from xencbt.harness.exchange import Recorder
from xencbt.harness.journal import Journal, LiveJournal, journals_below, state_folder
from xencbt.harness.marks import printable, quoted, why_not_healed
from xencbt.harness.masking import Secrets
from xencbt.harness.opening import asked_password
from xencbt.harness.private import NotBelieved, refuse_not_private
from xencbt.harness.product import identify
from xencbt.harness.recovery import needs_a_look
from xencbt.harness.session import Session
from xencbt.harness.settings import Settings, refuse_unread_certificate
from xencbt.harness.trust import Trust
from xencbt.harness.verdicts import Exit, Violation

QUIET_S = 2.0
"""How long after a run's last word a call of its may still be on its way to the host."""

LEFT = 1


def clean(
    *,
    journal_dir: str | None,
    dry_run: bool,
    target: str | None,
    user: str | None,
    password_file: str | None,
    trust: Trust,
    environment: Mapping[str, str],
) -> int:
    """Clean up after every dead run that left something, and print what was done.

    `target`, `user` and `trust` stand in for what a journal says, where they say anything. Returns 0 when nothing is
    left, 1 when something is (also after a dry run), 3 for a journal that cannot be read, 4 for a target that cannot be
    reached; the rest is cleaned all the same. Raises UsageError for a folder that is not there, for a password that
    cannot be had, and for a way to trust that cannot be used.
    """
    folder = Path(journal_dir) if journal_dir else state_folder(environment)
    if journal_dir and not folder.is_dir():
        raise UsageError(f"--journal-dir {journal_dir}: no such folder")
    cleaner = _Cleaner(dry_run, target, user, password_file, trust, environment)
    paths = journals_below(folder)
    for path in paths:
        cleaner.clean(path)
    print(
        f"{len(paths)} journals: {cleaner.removed} removed, {cleaner.restored} restored, {cleaner.left} left, "
        f"{cleaner.live} of live runs skipped"
    )
    return cleaner.exit


@dataclass(slots=True)
class _Cleaner:
    dry_run: bool
    target: str | None
    user: str | None
    password_file: str | None
    trust: Trust
    environment: Mapping[str, str]
    removed: int = 0
    restored: int = 0
    left: int = 0
    live: int = 0
    broken: bool = False
    unreached: bool = False
    _passwords: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def exit(self) -> int:
        if self.broken:
            return Exit.USAGE
        if self.unreached:
            return Exit.ERROR
        return LEFT if self.left else Exit.OK

    def clean(self, path: Path) -> None:
        try:
            refuse_not_private(path)
            journal = Journal.reopen(path)
        except LiveJournal as live:
            self.live += 1
            _say(f"{live}: skipped")
            return
        except NotBelieved as refusal:
            self.broken = True
            _say(f"refused journal {path}: {refusal}")
            return
        except (UnreadableJournal, HarnessError) as error:
            self.broken = True
            _say(f"broken journal {path}: {error}")
            return
        with journal:
            if _left(journal):
                self._one(journal)

    def _one(self, journal: Journal) -> None:
        _say(f"{journal.path.parent} ({journal.header.url})")
        if journal.header.own:
            self._gone_with_its_host(journal)
            return
        try:
            session = self._session(journal)
        except TargetUnreachable as error:
            self.unreached = True
            self.left += _left(journal)
            _say(f"  not cleaned: {error}")
            return
        except NotBelieved as error:
            self.broken = True
            self.left += _left(journal)
            _say(f"  not cleaned: {error}")
            return
        try:
            if self.dry_run:
                self._show(session, journal)
            else:
                with self._claim(journal):
                    self._do(session, journal)
        except (Taken, HarnessError, Violation) as error:
            self.left += _left(journal)
            _say(f"  not cleaned: {error}")
        finally:
            session.close()

    def _gone_with_its_host(self, journal: Journal) -> None:
        print("  its emulated host ended with its run, and all that was on it")
        if self.dry_run:
            return
        for item in still_there(journal.items):
            journal.removed(item.token)
        for change in not_restored(journal.changes):
            journal.restored(change.token)

    def _session(self, journal: Journal) -> Session:
        header = journal.header
        url, user = self.target or header.url, self.user or header.user
        trust = self._trust(journal)
        refuse_unread_certificate(url, trust)
        try:
            endpoint = Endpoint.parse(url, trust)
        except UsageError as error:
            if self.target:
                raise
            raise NotBelieved(str(error)) from error
        _say(f"  logging in to {endpoint.url} as {user}, {trust.words(endpoint.scheme)}")
        session = Session.login(endpoint, user, self._password(url, user), Recorder(Secrets()))
        pool = identify(session).pool_uuid
        if pool != header.pool:
            session.close()
            raise TargetUnreachable(f"{url} is pool {pool}, and the run was on pool {header.pool}")
        return session

    def _trust(self, journal: Journal) -> Trust:
        """Return how the target is to be trusted: as the run did, but not blindly on the word of a file."""
        if self.trust != Trust():
            return self.trust
        trust = Trust.from_options(journal.header.trust)
        if trust.insecure:
            raise NotBelieved("the run accepted any certificate: say --insecure again, or --ca or --fingerprint")
        return trust

    def _claim(self, journal: Journal) -> Claim:
        """Claim the SR of the run, so that no other run is at work there; raises Taken, or HarnessError."""
        claims, header = claims_folder(self.environment), journal.header
        return Claim(claims, header.pool, header.sr, f"cleaning after run {header.run_id}, process {os.getpid()}")

    def _password(self, url: str, user: str) -> str:
        if (url, user) not in self._passwords:
            file = Path(self.password_file) if self.password_file else None
            settings = Settings(seed=0, target=url, user=user, password_file=file, environment=dict(self.environment))
            self._passwords[url, user] = settings.password or asked_password(settings)
        return self._passwords[url, user]

    def _show(self, session: Session, journal: Journal) -> None:
        for change in not_restored(journal.changes):
            why = why_not_healed(change, journal.borrowed)
            _say(f"  would leave {change}: {why}" if why else f"  would restore {change}")
        items = still_there(journal.items)
        marks = marked(session, journal)
        if isinstance(marks, str):
            raise HarnessError(marks)
        decision = look(session, journal) if needs_a_look(items) else None
        if isinstance(decision, str):
            raise HarnessError(decision)
        for item in items:
            if item.state is State.CREATED:
                why = marks.why_not(item)
                _say(f"  would leave {marks.shown(item)}: {why}" if why else f"  would remove {marks.shown(item)}")
            if decision is None:
                continue
            for each in decision.found.get(item.token, ()):
                _say(f"  would remove {each.cls} {each.uuid} {quoted(each.name)}, whose answer was lost")
            if item.token in decision.unclear:
                _say(f"  would leave {decision.unclear[item.token]}")
        self.left += _left(journal)

    def _do(self, session: Session, journal: Journal) -> None:
        items = still_there(journal.items)
        if any(item.state is State.INTENDED for item in items):
            time.sleep(max(0.0, QUIET_S - journal.age_s))  # the quiet window: nothing tells when it is over but time
        before = sum(item.state is State.REMOVED for item in journal.items)
        changes = len(not_restored(journal.changes))
        healing, troubles = [], []
        for change in not_restored(journal.changes):
            why = why_not_healed(change, journal.borrowed)
            if why:
                troubles.append(f"{change}, {why}: left")
            else:
                _say(f"  restoring {change}")
                healing.append(change)
        troubles += restore(session, journal, healing)
        troubles += remove_marked(session, journal, items, lambda what: _say(f"  {what}"))
        removed = sum(item.state is State.REMOVED for item in journal.items) - before
        restored = changes - len(not_restored(journal.changes))
        self.removed += removed
        self.restored += restored
        self.left += _left(journal)
        print(f"  {removed} removed, {restored} restored, {_left(journal)} left")
        for trouble in troubles:
            _say(f"  {trouble}")


def _say(line: str) -> None:
    """Print `line`, much of which a journal or a host says: nothing in it acts upon a terminal."""
    print(printable(line), flush=True)


def _left(journal: Journal) -> int:
    return len(still_there(journal.items)) + len(not_restored(journal.changes))
