"""The opening positions of a utility, taken all together or not at all.

    takeover = Takeover(reader, partitions, found, Patience(60))
    refused = takeover.refused()         against all that the core knows; nothing is sent so far
    takeover.send(writer, outgoing)      one transaction for all accounts
    answer = takeover.answer()           what the core took, and whether it adds up

Each account is decided by itself, on its own partition, so that no core could take one because of
another. All or nothing comes from the order of the steps:

1. The writer's transactional id is taken over before anything is looked at. From then on an older
   command can send nothing any more.
2. Everything that was sent before is decided. The core's state of the accounts is folded from its
   own events, and every position is put to the very function by which the core decides.
3. Only when none is refused all of them are sent, in one transaction, unless another command took
   the id over meanwhile.
4. What was checked stays true until it is decided: an account or a usage point is never forgotten
   once it is known, and an account is opened by this command alone.

What remains: a core of another release, with another rule, decides; somebody writes to
`customers.requests` without this command; the core is down for longer than anybody waits. The
answer tells each of them: it names what was rejected or not decided yet, and adds up what was taken
against the control totals. A position that is taken already changes nothing, so the same command
again goes on where the first one ended. The fold costs 0.3 ms an account, 75 s for 250,000.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from libs.events.audit import Reader
from libs.events.errors import Aborted, Fenced, Unavailable, Unknown
from libs.events.record import Outgoing, TopicPartition
from services.customers.answers import Fact, Follower, Patience
from services.customers.api import REQUESTS
from services.customers.csv_files import Defect
from services.customers.decide import decide_opening
from services.customers.events import OpeningRejected, OpeningSubmitted, OpeningTaken
from services.customers.opening_files import Opening, differences
from services.customers.openings import fingerprint
from services.customers.state import Account, evolve

TRANSACTIONAL_ID = "customers.openings"
"""Of every command that opens accounts: the last one that began fences the others."""

_ACCOUNTS_FILE = "opening_accounts.csv"


class Writer(Protocol):
    """Writes all records in one transaction; per partition the offset after its last record."""

    def write(self, outgoing: Sequence[Outgoing], /) -> Mapping[TopicPartition, int]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeoverAnswer:
    """What became of the accounts: taken now, opened alike before, refused, not decided yet.

    differences: control totals that are not what the accounts taken now and before add up to; only
    told when no account waits.
    """

    taken: tuple[str, ...]
    known: tuple[str, ...]
    rejected: tuple[Defect, ...]
    waiting: tuple[str, ...]
    differences: tuple[Defect, ...]

    @property
    def is_complete(self) -> bool:
        """Whether every account is open as stated, and the totals with them."""
        return not (self.rejected or self.waiting or self.differences)


class Takeover:
    """One command's attempt to open the accounts of a directory; see the module."""

    def __init__(self, reader: Reader, partitions: int, found: Opening, patience: Patience) -> None:
        self.found, self.patience = found, patience
        self._requests = {each.account_no: each for each in found.requests}
        self._follower = Follower.from_begin(reader, partitions, self._requests.__contains__)
        self._states: dict[str, Account] = {}
        self._known: tuple[str, ...] = ()
        self._goals: dict[int, int] = {}
        self._taken: dict[str, OpeningSubmitted] = {}
        self._rejected: dict[str, str] = {}

    @property
    def to_send(self) -> tuple[OpeningSubmitted, ...]:
        """The positions that are not taken already."""
        return tuple(each for no, each in self._requests.items() if no not in self._known)

    def refused(self) -> tuple[Defect, ...]:
        """Every account that the core would refuse, by its line in the file.

        Raises Unavailable when the core has not decided in time what was sent before.
        """
        self._fold(self._follower.news())
        goals = self._follower.sent_before()
        self._fold(self._follower.follow(goals, self.patience))
        if self._follower.behind(goals):
            raise Unavailable(
                f"customers: did not decide in {self.patience.timeout_s:g} s what was sent before, "
                "nothing was sent now (see that `gridledger run customers` runs, then run this "
                "command again)"
            )
        known: list[str] = []
        problems: dict[str, str] = {}
        for account_no, request in self._requests.items():
            state = self._states.get(account_no) or Account()
            emits = decide_opening(state, account_no, request)
            if not emits:
                known.append(account_no)
            elif isinstance(emits[0].body, OpeningRejected):
                problems[account_no] = emits[0].body.problem
        self._known = tuple(known)
        self._rejected.clear()  # what was rejected when an earlier command sent it
        return self._named(problems)

    def send(
        self, writer: Writer, outgoing: Callable[[str, str, OpeningSubmitted], Outgoing]
    ) -> int:
        """Send what is not taken already, in one transaction; how many records."""
        records = [outgoing(REQUESTS, each.account_no, each) for each in self.to_send]
        if not records:
            return 0
        try:
            ends = writer.write(records)
        except Aborted as reason:
            fix = "run the command again, with more GRIDLEDGER_KAFKA_TRANSACTION_TIMEOUT_MS if slow"
            raise Unavailable(f"{reason}: nothing was sent ({fix})") from None
        except Fenced as reason:
            text = "another `customers open` began meanwhile and ended this one"
            fix = "run the command again after it, that finds out what was sent"
            raise Fenced(f"{text}: {reason} ({fix})") from None
        except Unknown as reason:
            text = f"{reason}: all records were sent or none"
            raise Unknown(f"{text}; run the command again, it finds out") from None
        self._goals = {place.partition: end for place, end in ends.items()}
        return len(records)

    def answer(self) -> TakeoverAnswer:
        """Wait until every account is decided, or until patience is over."""
        sent = {each.account_no for each in self.to_send}
        self._fold(self._follower.follow(self._goals, self.patience))
        taken = [self._taken[no] for no in sorted(sent & self._taken.keys())]
        rejected = {no: self._rejected[no] for no in sorted(sent & self._rejected.keys())}
        waiting = sorted(sent - self._taken.keys() - rejected.keys())
        before = [self._requests[no] for no in self._known]
        differ: list[Defect] = []
        if not waiting:
            what = "the positions taken"
            differ = differences(self.found.totals, [*before, *taken], what)
        return TakeoverAnswer(
            taken=tuple(each.account_no for each in taken),
            known=self._known,
            rejected=self._named(rejected),
            waiting=tuple(waiting),
            differences=tuple(differ),
        )

    def _fold(self, facts: Iterable[Fact]) -> None:
        for fact in facts:
            state = evolve(self._states.get(fact.key), fact.body)
            if state is not None:
                self._states[fact.key] = state
            if isinstance(fact.body, OpeningTaken):
                self._note_taken(fact.key, fact.body.opening)
            elif isinstance(fact.body, OpeningRejected):
                self._note_rejected(fact.key, fact.body)

    def _note_taken(self, account_no: str, opening: OpeningSubmitted) -> None:
        request = self._requests[account_no]
        if fingerprint(opening) == fingerprint(request):
            self._taken[account_no] = opening
            self._rejected.pop(account_no, None)

    def _note_rejected(self, account_no: str, body: OpeningRejected) -> None:
        if body.opening_id == self.found.opening_id:
            self._rejected[account_no] = body.problem

    def _named(self, problems: Mapping[str, str]) -> tuple[Defect, ...]:
        """Problems of accounts by line: what stands before the colon is the column."""
        defects = []
        for account_no, problem in problems.items():
            column, _, text = problem.partition(": ")
            defects.append(
                Defect(
                    file=_ACCOUNTS_FILE,
                    line=self.found.lines[account_no],
                    column=column,
                    problem=text if account_no in text else f"{account_no}: {text}",
                )
            )
        return tuple(sorted(defects, key=lambda each: each.line))
