"""Bodies of any registered type, drawn from the type itself: for contracts between services."""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from typing import Any

from hypothesis import strategies as st

from services.payments.journal import CHART, JournalEntry, JournalLine
from services.validation.areas.membership import ROLES, Membership

INTEGERS = st.integers(min_value=-(2**53), max_value=2**53)
"""What every JSON reader keeps exact."""


@functools.cache
def bodies(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a type that events may be made of; TypeError for any other type."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    simple = {str: st.text(max_size=12), int: INTEGERS, bool: st.booleans(), type(None): st.none()}
    if kind in simple:
        return simple[kind]
    if kind is JournalEntry:
        return st.builds(balanced_entry, st.text(max_size=12), st.integers(1, 2**53))
    if kind is Membership:
        return st.builds(stay, st.text(max_size=12), st.sampled_from(ROLES), st.booleans())
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        fields = {field.name: bodies(hints[field.name]) for field in dataclasses.fields(kind)}
        return st.builds(kind, **fields)
    if origin is tuple and len(arguments) == 2 and arguments[1] is ...:
        return st.lists(bodies(arguments[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*map(bodies, arguments))
    if origin is dict and arguments[0] is str:
        return st.dictionaries(st.text(max_size=8), bodies(arguments[1]), max_size=2)
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*map(bodies, arguments))
    raise TypeError(f"{kind} is no type of an event's field")


def stay(text: str, role: str, has_pv: bool) -> Membership:
    """A stay in an area, which checks its role, its days and its ratio."""
    return Membership(
        usage_point=text,
        feeder=text,
        area=text,
        role=role,
        from_on="2026-01-01",
        to_on="2026-01-31" if has_pv else "",
        ratio="" if has_pv else "100",
        has_pv=has_pv,
    )


def balanced_entry(text: str, amount_fen: int) -> JournalEntry:
    """Debits equal credits."""
    first, second = sorted(CHART)[:2]
    debit = JournalLine(ledger_account=first, sub_account="", debit_fen=amount_fen, credit_fen=0)
    credit = JournalLine(ledger_account=second, sub_account="", debit_fen=0, credit_fen=amount_fen)
    return JournalEntry(text=text, lines=(debit, credit))
