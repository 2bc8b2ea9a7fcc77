"""What a bill is rated from, out of files: usages joined with contracts and books, one at a time.

Both files are in the order of their accounts, so that one account is held at a time. Several usages
of one account and period that adjoin are parts of one bill. A usage is cut, by days, where another
contract, book or relation comes into force within it: hand over usages of their own where a meter
was read then. Tier positions run on from bill to bill of an account.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import TypeVar

from libs.events.errors import BadInput
from libs.tou_calendar import PERIODS
from services.billing.agreement import AgreementTerms, PointTerms
from services.billing.bill import Bill, RatingPart
from services.billing.contract_file import Contract
from services.billing.household import allowances_of
from services.billing.month_input import book_parts, is_of, price_lists_of
from services.billing.months import TermsPart, month_span
from services.billing.point_relations import REST_PERIODS
from services.billing.price_book import PriceBook, PriceList
from services.billing.rating import rate_parts
from services.billing.tiers import TierPosition, tier_key
from services.billing.usage import AccountUsage, split_usage
from services.billing.usage_file import UsageEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedBill:
    """A bill, what it was rated from, and what a reader of it should know."""

    bill: Bill
    parts: tuple[RatingPart, ...]
    notes: tuple[str, ...]


LAST = chr(0x10FFFF)
"""No account comes after it."""

T = TypeVar("T", UsageEntry, Contract)


def rated_bills(
    usages: Iterable[UsageEntry], contracts: Iterable[Contract], books: Sequence[PriceBook]
) -> Iterator[RatedBill]:
    """The bill of every account and period, in the order of the usages."""
    agreed = _by_account(contracts, _account_of_contract)
    account, terms = "", list[Contract]()
    for name, entries in _by_account(usages, _account_of_usage):
        while account < name:
            account, terms = next(agreed, (LAST, []))
        if account != name:
            fix = "add it; both files must be in the order of their accounts"
            raise BadInput(f"{entries[0].place} account", f"{name} has no contract", fix)
        yield from _account_bills(entries, _in_order_of_days(terms), books)


def _account_of_contract(contract: Contract) -> str:
    return contract.terms.account


def _account_of_usage(entry: UsageEntry) -> str:
    return entry.usage.account


def _by_account(
    entries: Iterable[T], account_of: Callable[[T], str]
) -> Iterator[tuple[str, list[T]]]:
    last = ""
    for account, group in groupby(entries, account_of):
        found = list(group)
        if account <= last:
            problem = f"{account} comes after {last}"
            raise BadInput(f"{found[0].place} account", problem, "sort the file by account")
        last = account
        yield account, found


def _in_order_of_days(contracts: list[Contract]) -> list[Contract]:
    found = sorted(contracts, key=lambda each: each.from_on)
    for earlier, later in pairwise(found):
        if not earlier.until_on or earlier.until_on > later.from_on:
            problem = f"holds on days on which that of {earlier.place} does"
            fix = "give each contract of an account days of its own"
            raise BadInput(f"{later.place} from_on", problem, fix)
    return found


def _account_bills(
    entries: Sequence[UsageEntry], contracts: Sequence[Contract], books: Sequence[PriceBook]
) -> Iterator[RatedBill]:
    """The bills of one account; a withheld one leaves a hole in the tier positions after it."""
    positions: dict[str, TierPosition] = {}
    withheld = last = ""
    for period, group in groupby(entries, lambda each: each.usage.period):
        found = list(group)
        if period <= last:
            problem = f"{period} comes after {last}"
            raise BadInput(f"{found[0].place} period", problem, "sort by account and period")
        last = period
        _require_adjoining(found)
        parts = [part for each in found for part in _parts(each, contracts, books)]
        told = _told(found[0], parts)
        bill = rate_parts(parts, {**positions, **told})
        notes = [note for each in found for note in each.notes]
        if withheld and bill.tiers_before.keys() - told.keys():
            notes.append(f"the tiers begin without the energy of {withheld}, which is withheld")
        positions |= bill.tiers_after
        withheld = period if bill.withheld else withheld
        yield RatedBill(bill=bill, parts=tuple(parts), notes=tuple(notes))


def _require_adjoining(entries: Sequence[UsageEntry]) -> None:
    for earlier, later in pairwise(entries):
        before, after = earlier.usage, later.usage
        cycles = {(each.cycle_from_on, each.cycle_until_on) for each in (before, after)}
        if before.until_on != after.from_on or len(cycles) > 1:
            problem = f"does not adjoin the usage before it, which ends before {before.until_on}"
            fix = "the usages of a period are parts of one cycle, one after another"
            raise BadInput(f"{later.place} from_on", problem, fix)
        if later.used_before_wh:
            fix = "give it with the first usage of the period"
            raise BadInput(f"{later.place} used_before_kwh", "is not of the first part", fix)


def _told(entry: UsageEntry, parts: Sequence[RatingPart]) -> dict[str, TierPosition]:
    """The tier positions that the usage itself says."""
    lists = {
        point.point: part.book.price_lists.get(point.price_list)
        for part in reversed(parts)
        for point in part.terms.points
    }
    found = {}
    for point, used_wh in entry.used_before_wh.items():
        price_list = lists.get(point)
        rule = price_list.tiers if price_list else None
        if rule is None:
            place = f"{entry.place} used_before_kwh"
            raise BadInput(place, f"{point} has no tiers", "leave it out")
        found[point] = TierPosition(key=tier_key(rule, entry.usage.period), used_wh=used_wh)
    return found


def _parts(
    entry: UsageEntry, contracts: Sequence[Contract], books: Sequence[PriceBook]
) -> Iterator[RatingPart]:
    """The usage cut by the contracts, relations and books in force."""
    rest, by_name = entry.usage, {f"{each.id}@{each.version}": each for each in books}
    for from_on, until_on, contract in _contract_days(entry, contracts):
        terms = _agreed(contract, books)
        for start, end in _relation_days(terms, from_on, until_on):
            part = TermsPart(start, end, terms)
            for first_on, next_on, book in book_parts(part, by_name):
                if book is None:
                    lists = ", ".join(sorted(price_lists_of(terms)))
                    problem = f"no book with {lists} is in force from {first_on}"
                    raise BadInput(f"{entry.place} from_on", problem, "give it with --book")
                usage = rest
                if next_on < rest.until_on:
                    usage, rest = split_usage(rest, next_on)
                yield RatingPart(usage, book, _terms(contract, book, usage))


def _contract_days(
    entry: UsageEntry, contracts: Sequence[Contract]
) -> list[tuple[str, str, Contract]]:
    usage = entry.usage
    found = []
    for each in contracts:
        start = max(each.from_on, usage.from_on)
        end = min(each.until_on or usage.until_on, usage.until_on)
        if start < end:
            found.append((start, end, each))
    ends = [usage.from_on, *(end for _, end, _ in found)]
    starts = [*(start for start, _, _ in found), usage.until_on]
    for end, start in zip(ends, starts, strict=True):
        if end != start:
            problem = f"{usage.account} has no contract from {end} to before {start}"
            fix = "add one, or give the usage of the days with one (from_on, until_on)"
            raise BadInput(f"{entry.place} from_on", problem, fix)
    return found


def _relation_days(terms: AgreementTerms, from_on: str, until_on: str) -> Iterator[tuple[str, str]]:
    """The days cut where a relation begins or ends, as billing cuts a month."""
    cuts = {from_on, until_on}
    for each in terms.relations:
        cuts |= {on for on in (each.from_on, each.until_on) if from_on < on < until_on}
    return pairwise(sorted(cuts))


def _agreed(contract: Contract, books: Sequence[PriceBook]) -> AgreementTerms:
    """The contract's terms with the book they are rated by; BadInput where none has its lists."""
    terms, lists = contract.terms, sorted(price_lists_of(contract.terms))
    near = [book for book in books if not terms.price_book or is_of(terms, book)]
    if not near:
        known = ", ".join(sorted({book.id for book in books}))
        problem = f"no book {terms.price_book} is given"
        raise BadInput(f"{contract.place} price_book", problem, f"name one of {known}")
    for name in lists:
        if not any(name in book.price_lists for book in near):
            known = ", ".join(sorted({code for book in near for code in book.price_lists}))
            place = f"{contract.place} price_list"
            raise BadInput(place, f"no book has the list {name}", f"one of {known}")
    if terms.price_book:
        return terms
    ids = sorted({book.id for book in near if set(lists) <= set(book.price_lists)})
    if len(ids) != 1:
        problem = f"{len(ids)} books have {', '.join(lists)}"
        fix = f"name one of {', '.join(ids or sorted({book.id for book in near}))}"
        raise BadInput(f"{contract.place} price_book", problem, fix)
    return replace(terms, price_book=ids[0])


def _terms(contract: Contract, book: PriceBook, usage: AccountUsage) -> AgreementTerms:
    """The terms as the book reads them: its id, its household rules, its lists' classes."""
    after_on = month_span(usage.period)[1]
    lines = contract.terms.external_lines
    allowances = allowances_of(contract.household, book.household_rules, after_on)
    return replace(
        contract.terms,
        price_book=book.id,
        allowances=(*contract.terms.allowances, *allowances),
        points=tuple(_point(each, book, usage) for each in contract.terms.points),
        external_lines=tuple(each for each in lines if each.month == usage.period),
    )


def _point(point: PointTerms, book: PriceBook, usage: AccountUsage) -> PointTerms:
    """What a contract need not say: the class of the list, and rates that are named by period."""
    price_list = book.price_lists.get(point.price_list)
    if price_list is None:  # of a check or feed-in point
        return point
    rates = point.rate_periods
    if price_list.calendar and not rates:
        rates = _periods_named(point.point, price_list, usage)
    return replace(
        point,
        category=point.category or price_list.category,
        voltage_class=point.voltage_class or price_list.voltage_class,
        rate_periods=rates,
    )


def _periods_named(point: str, price_list: PriceList, usage: AccountUsage) -> dict[str, str]:
    """Where the usage names its rates by their periods, these, and the one that is the rest."""
    named = {
        name for each in usage.points if each.point == point for name in each.import_wh_by_rate
    }
    if not named or not named <= set(PERIODS):
        return {}
    floating = [each for each in price_list.components if each.tou_applies]
    priced = {period for each in floating for period in each.period_prices}
    rest = [period for period in REST_PERIODS if period in priced][:1]
    return {period: period for period in (*sorted(named), *rest)}
