"""Which outcomes the documentation allows for a call, as conditions in words.

Where several reasons to refuse hold at once the documentation fixes no order between them, so each group below that
refuses adds its codes as alternatives. Hosts whose order of checks is known (`ordered`) are held to it where a VDI's
own eligibility is concerned: metadata-only type, then snapshot, type, on_boot. Within any other group the first
condition that holds decides: the later ones mean nothing then (two disks that are the same need not be related;
data_destroy is for snapshots before all else).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from xencbt.harness.expectations import SUCCESS, Expectation, VdiType, either, refusals
from xencbt.harness.model.disk import Attachment, Disk, OnBoot, Storage


@dataclass(frozen=True, slots=True)
class Situation:
    """What one call meets: the disk it is about, its storage, and the call's own circumstances.

    `related` and `same` are for listing (`disk` is the later one), `size` for resizing; for reverting `disk` is the
    snapshot. `ordered` where the host's order of checks is known.
    """

    operation: str
    disk: Disk
    storage: Storage
    licensed: bool | None = True
    related: bool | None = True
    same: bool = False
    size: int | None = None
    ordered: bool = False


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason to refuse: whether it holds (None: it may, nothing decides it), and what is then answered."""

    holds: Callable[[Situation], bool | None]
    refusal: Callable[[Situation], Expectation]


def allowed(situation: Situation) -> Expectation:
    """Return the outcomes allowed for a call in this situation; success only where no reason to refuse surely holds."""
    refusing: list[Expectation] = []
    certain = False
    for group in _groups(situation):
        refused, surely = _decide(group, situation)
        refusing += refused
        certain = certain or surely
    return either(*refusing) if certain else either(SUCCESS, *refusing)


def _groups(situation: Situation) -> Iterator[Iterable[Reason]]:
    for group in GROUPS[situation.operation]:
        if group is ELIGIBILITY and not situation.ordered:
            yield from ((reason,) for reason in group)
        else:
            yield group


def _decide(group: Iterable[Reason], situation: Situation) -> tuple[list[Expectation], bool]:
    possible: list[Expectation] = []
    for reason in group:
        holds = reason.holds(situation)
        if holds is not False:
            possible.append(reason.refusal(situation))
        if holds:
            return possible, True
    return possible, False


def _negated(fact: bool | None) -> bool | None:  # noqa: FBT001  a fact in three values, not a switch
    return None if fact is None else not fact


def _only_when_off(fact: bool | None, situation: Situation) -> bool | None:  # noqa: FBT001  as above
    """Where CBT is on already, nothing is left to do (ENABLE-13), but being refused before is not excluded."""
    return None if fact is not False and situation.disk.enabled else fact


DRIVER = Reason(
    lambda s: s.operation in s.storage.lacks,
    lambda s: refusals.driver_without_cbt(s.storage.ref),
)
ATTACHED_SR = Reason(lambda s: _negated(s.storage.attached), lambda _: refusals.sr_not_attached())
METADATA_ONLY = Reason(
    lambda s: s.disk.type is VdiType.CBT_METADATA,
    lambda s: refusals.wrong_type(s.disk.type, s.disk.ref),
)
IS_SNAPSHOT = Reason(lambda s: s.disk.is_a_snapshot, lambda _: refusals.is_a_snapshot())
INELIGIBLE_TYPE = Reason(lambda s: not s.disk.type.eligible, lambda s: refusals.wrong_type(s.disk.type, s.disk.ref))
ON_BOOT_RESET = Reason(
    lambda s: None if s.disk.on_boot is None else s.disk.on_boot is OnBoot.RESET,
    lambda _: refusals.on_boot_reset(),
)
UNLICENSED = Reason(lambda s: _only_when_off(_negated(s.licensed), s), lambda _: refusals.unlicensed())
RAW = Reason(lambda s: s.disk.raw, lambda _: refusals.raw_vdi())
READ_ONLY_SR = Reason(lambda s: _only_when_off(_negated(s.storage.writable), s), lambda _: refusals.read_only_sr())
NO_LOG_SPACE = Reason(
    lambda s: False if s.disk.enabled else _negated(s.storage.log_space),
    lambda _: refusals.full_sr(),
)
LOG_STAYS = Reason(
    lambda s: None if s.disk.enabled and s.storage.writable is not True else False,
    lambda _: refusals.cannot_disable(),
)
IN_USE_FOR_READING = Reason(lambda s: s.disk.attachment.blocks, lambda s: refusals.in_use(s.disk.ref))
IN_USE_AT_ALL = Reason(lambda s: s.disk.attachment.held, lambda s: refusals.in_use(s.disk.ref))
IN_USE_FOR_COPY = Reason(
    lambda s: False if s.disk.attachment is Attachment.READ_ONLY else s.disk.attachment.held,
    lambda s: refusals.in_use(s.disk.ref),
)
IN_USE_FOR_DATA_DESTROY = Reason(
    lambda s: False if s.disk.type is VdiType.CBT_METADATA else s.disk.attachment.held,
    lambda s: refusals.in_use(s.disk.ref),
)
SAME_VDI = Reason(lambda s: s.same, lambda _: refusals.same_vdi())
DOUBTFUL_LOG = Reason(lambda s: None if s.related is None else False, lambda _: refusals.doubtful_log())
UNRELATED = Reason(lambda s: _negated(s.related), lambda _: refusals.unrelated())
SHARABLE = Reason(lambda s: s.disk.sharable, lambda s: refusals.sharable(s.disk.ref))
RAW_IMAGE = Reason(lambda s: None if s.disk.raw else False, lambda _: refusals.raw_vdi())
NO_IMAGE_SPACE = Reason(
    lambda s: False if s.storage.log_space is True else None,
    lambda _: refusals.no_space(),
)
SHRINKING = Reason(lambda s: s.size is not None and s.size < s.disk.size, lambda _: refusals.shrinking())
NOT_A_SNAPSHOT = Reason(lambda s: not s.disk.is_a_snapshot, lambda _: refusals.not_a_snapshot())
NO_CBT_METADATA = Reason(lambda s: not s.disk.enabled, lambda s: refusals.no_cbt_metadata(s.disk.ref))
CBT_ENABLED = Reason(lambda s: s.disk.enabled, lambda s: refusals.cbt_enabled(s.disk.ref))
VM_NOT_HALTED = Reason(lambda s: s.disk.attachment.running, lambda _: refusals.bad_power_state())
SR_MAY_BE_NEEDED = Reason(
    lambda s: False if s.storage.attached is True else None,
    lambda _: refusals.sr_not_attached(),
)
HAS_RRDS = Reason(lambda s: s.disk.type is VdiType.RRD, lambda _: refusals.has_rrds())

ELIGIBILITY = (METADATA_ONLY, IS_SNAPSHOT, INELIGIBLE_TYPE, ON_BOOT_RESET)

GROUPS: dict[str, tuple[tuple[Reason, ...], ...]] = {
    "enable_cbt": (
        (DRIVER,),
        (ATTACHED_SR,),
        ELIGIBILITY,
        (UNLICENSED,),
        (RAW,),
        (READ_ONLY_SR,),
        (NO_LOG_SPACE,),
    ),
    "disable_cbt": ((DRIVER,), (ATTACHED_SR,), ELIGIBILITY, (LOG_STAYS,)),
    "list_changed_blocks": ((DRIVER,), (ATTACHED_SR,), (IN_USE_FOR_READING,), (DOUBTFUL_LOG,), (SAME_VDI, UNRELATED)),
    "snapshot": (
        (DRIVER,),
        (ATTACHED_SR,),
        (METADATA_ONLY,),
        (SHARABLE,),
        (ON_BOOT_RESET,),
        (RAW_IMAGE,),
        (NO_IMAGE_SPACE,),
    ),
    "clone": ((DRIVER,), (ATTACHED_SR,), (METADATA_ONLY,), (RAW_IMAGE,), (NO_IMAGE_SPACE,)),
    "copy": ((DRIVER,), (ATTACHED_SR,), (METADATA_ONLY,), (IN_USE_FOR_COPY,), (ON_BOOT_RESET,), (NO_IMAGE_SPACE,)),
    "resize": ((DRIVER,), (ATTACHED_SR,), (METADATA_ONLY,), (IN_USE_AT_ALL,), (SHRINKING,), (NO_IMAGE_SPACE,)),
    "set_on_boot": (
        (DRIVER,),
        (SR_MAY_BE_NEEDED,),
        (METADATA_ONLY,),
        (CBT_ENABLED,),
        (VM_NOT_HALTED,),
        (IN_USE_AT_ALL,),
    ),
    "data_destroy": ((DRIVER,), (ATTACHED_SR,), (NOT_A_SNAPSHOT, NO_CBT_METADATA), (IN_USE_FOR_DATA_DESTROY,)),
    "destroy": ((DRIVER,), (ATTACHED_SR,), (IN_USE_AT_ALL,), (HAS_RRDS,)),
    "revert": ((DRIVER,), (ATTACHED_SR,), (METADATA_ONLY,), (RAW_IMAGE,), (NO_IMAGE_SPACE,)),
}
"""The reasons to refuse each VDI operation. Alternatives between groups, the first that holds within one."""
