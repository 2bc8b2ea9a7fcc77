"""Questions about classes: when they are asked, asked again, settled and accepted."""

from __future__ import annotations

from itertools import permutations
from typing import Any

from services.billing.audit_rules import AuditRule, AuditRules
from services.billing.events import (
    BookPublished,
    CorrectionIssued,
    InvoiceIssued,
    TariffAcceptanceRejected,
    TariffClassAccepted,
    TariffClassQuestioned,
    TariffClassSettled,
)
from services.billing.policy import BillingPolicy
from services.billing.reactions import AgreementPublished, ForeignTransformer
from tests.unit.billing.builders import book, component, price_list, two_part
from tests.unit.billing_core.office import (
    Office,
    agreement,
    month_of_usage,
    names,
    point,
    published,
    release,
    terms,
    usage,
)

SINGLE = price_list(component(price="1"), code="single", voltage_class="1_10kv")
DOUBLE = price_list(
    component(price="0.5"),
    component("capacity", "1", unit="kVA"),
    code="double",
    voltage_class="1_10kv",
    category="large_industry",
    two_part=two_part(),
)
TARIFF = book(SINGLE, DOUBLE)
HOTEL = {"category": "non_residential", "price_list": "single", "voltage_class": "10kv",
         "metering_side": "high"}  # fmt: skip
MILL = {**HOTEL, "category": "industrial", "price_list": "double", "demand_mode": "capacity"}
OWN = {"price_list": "", "category": "", "voltage_class": "", "metering_side": ""}


def agreed(version: int = 1, kva: int = 400, **own: Any) -> AgreementPublished:
    transformer = ForeignTransformer(
        transformer_no="T1", kva=kva, model="", state="in_use", from_on="2026-01-01", to_on=""
    )
    rows = [terms(**{**HOTEL, **own})]
    return agreement(point(**OWN), rows=rows, version=version, transformers=(transformer,))


def hotel_office(policy: BillingPolicy | None = None) -> Office:
    """January is billed: 310 kWh at 1 yuan; on the two-part list 155.00 and 400 kVA at 1 yuan."""
    made = Office(policy) if policy else Office()
    made.feed(published(TARIFF), agreed(), *month_of_usage("2026-01"))
    made.tick("2026-02-05")
    made.feed(release())
    return made


def accepted(audit_id: str = "A1-T001") -> TariffClassAccepted:
    return TariffClassAccepted(
        request_id="r9", account_no="A1", audit_id=audit_id, decided_by="wu", reason="an exemption"
    )


def test_a_wrong_class_is_asked_about_when_it_is_agreed_and_when_it_is_billed() -> None:
    made = hotel_office()
    first, billed = made.of(TariffClassQuestioned)
    assert (first.audit_id, first.months, first.at_stake_fen) == ("A1-T001", (), 0)
    assert billed == TariffClassQuestioned(
        account_no="A1",
        audit_id="A1-T001",
        rule="two_part_from_315",
        point="P1",
        stands="system: single_part",
        expected="system: two_part",
        months=("2026-01",),
        at_stake_fen=15_500 + 40_000 - 31_000,
        rules_version="default",
        unconfirmed=True,
    )
    made.feed(*month_of_usage("2026-02"))
    issued = made.tick("2026-03-05")
    assert names(issued)[-2:] == ["InvoiceIssued", "TariffClassQuestioned"]
    assert issued[-1].months == ("2026-01", "2026-02")
    assert issued[-1].at_stake_fen == 24_500 + 14_000 + 40_000 - 28_000
    assert made.account.question_count == 1
    made.check_folds()


def test_a_correction_changes_what_is_at_stake() -> None:
    made = hotel_office()
    made.feed(usage("2026-01-31", 110_000, revision=2))
    found = made.tick("2026-02-20")
    assert names(found) == ["CorrectionIssued", "TariffClassQuestioned"]
    assert found[-1].at_stake_fen == 20_500 + 40_000 - 41_000


def test_the_agreement_settles_it_and_the_past_is_corrected() -> None:
    made = hotel_office()
    settled = made.feed(agreed(2, **MILL))
    assert names(settled) == ["AgreementNoted", "TariffClassSettled"]
    assert settled[-1] == TariffClassSettled(
        account_no="A1",
        audit_id="A1-T001",
        rule="two_part_from_315",
        point="P1",
        reason="agreement_changed",
    )
    assert made.account.questions == {}
    assert names(made.tick("2026-02-21")) == ["CorrectionIssued"]
    again = made.feed(agreed(3))
    assert (names(again)[-1], again[-1].audit_id) == ("TariffClassQuestioned", "A1-T002")
    made.check_folds()


def test_another_figure_alone_is_the_same_question() -> None:
    made = hotel_office()
    assert names(made.feed(agreed(2, language="en"))) == ["AgreementNoted"]


def test_who_moved_out_is_not_asked_about() -> None:
    made = hotel_office()
    settled = made.feed(agreed(2, moved_out_on="2026-02-01"))
    assert settled[-1].reason == "agreement_changed"


def test_an_agreement_without_terms_contradicts_nothing() -> None:
    made = hotel_office()
    made.feed(AgreementPublished(account_no="A1", version=2, terms=(), transformers=(), points=()))
    assert [each.reason for each in made.of(TariffClassSettled)] == ["agreement_changed"]


def test_an_accepted_class_is_asked_about_again_only_when_it_is_another_one() -> None:
    made = hotel_office()
    (settled,) = made.feed(accepted())
    assert (settled.reason, settled.decided_by, settled.note) == ("accepted", "wu", "an exemption")
    made.feed(*month_of_usage("2026-02"))
    assert names(made.tick("2026-03-05"))[-1] == "InvoiceIssued"
    assert made.account.questions["two_part_from_315/P1"].is_accepted
    (again,) = made.feed(accepted())
    assert again == TariffAcceptanceRejected(
        request_id="r9", account_no="A1", audit_id="A1-T001", problem="no such question stands"
    )
    settled = made.feed(agreed(2, kva=50))
    assert names(settled) == ["AgreementNoted", "TariffClassSettled"]
    made.check_folds()


def test_another_class_than_the_accepted_one_is_a_question_of_its_own() -> None:
    rule = AuditRule(expected="pf_standard", one_of=("0.90",))
    listed = price_list(component(), code="single", voltage_class="1_10kv",
                        power_factor_applies=True)  # fmt: skip
    made = Office(BillingPolicy(audit=AuditRules(id="own", rules={"by_090": rule})))
    made.feed(published(book(listed)), agreed(1, pf_standard="0.85"))
    made.feed(accepted())
    found = made.feed(agreed(2, pf_standard="0.80"))
    assert (names(found)[-1], found[-1].audit_id) == ("TariffClassQuestioned", "A1-T002")
    assert (found[-1].stands, found[-1].rules_version) == ("pf_standard: 0.80", "own")
    assert not made.account.questions["by_090/P1"].is_accepted
    made.check_folds()


def test_nobody_accepts_what_was_never_asked() -> None:
    assert names(hotel_office().feed(accepted("A1-T009"))) == ["TariffAcceptanceRejected"]
    assert names(Office().feed(accepted())) == ["TariffAcceptanceRejected"]


def test_a_book_may_end_a_question() -> None:
    """The list of a later version is for the voltage of the supply."""
    old = price_list(component(price="1"), code="single")
    made = Office()
    made.feed(published(book(old)), agreed(kva=200), *month_of_usage("2026-01"))
    made.tick("2026-02-05")
    made.feed(release())
    assert [each.rule for each in made.of(TariffClassQuestioned)] == ["voltage_of_list"] * 2
    assert made.of(TariffClassQuestioned)[-1].problem.startswith("no price list of the region")
    assert made.of(TariffClassQuestioned)[-1].months == ()
    new = book(SINGLE, version=2)
    assert names(made.feed(published(new))) == ["BookAdopted", "BookNoted", "TariffClassSettled"]
    assert made.log[-1][1].reason == "not_found"


def test_only_the_last_issued_months_are_reckoned() -> None:
    made = hotel_office(BillingPolicy(audit=AuditRules(id="own", months=1)))
    made.feed(*month_of_usage("2026-02"))
    made.tick("2026-03-05")
    assert made.of(TariffClassQuestioned)[-1].months == ("2026-02",)


def test_the_order_of_arrival_does_not_matter() -> None:
    """Agreement, its change, book and usage in every order: the same questions stand in the end."""
    told: tuple[Any, ...] = (published(TARIFF), agreed(1), agreed(2, **MILL), agreed(3, kva=500))
    ends = set()
    for order in permutations(told):
        made = Office()
        made.feed(*order[:2], *month_of_usage("2026-01"), *order[2:])
        for day in ("2026-02-05", "2026-02-06"):
            made.tick(day)
            if made.account.draft is not None:
                made.feed(release())
        standing = [each.asked for each in made.account.questions.values()]
        ends.add(tuple((each.rule, each.months, each.at_stake_fen) for each in standing))
        assert made.of(InvoiceIssued) or made.of(CorrectionIssued)
        assert BookPublished not in map(type, made.log)
    assert ends == {(("two_part_from_315", ("2026-01",), 15_500 + 50_000 - 31_000),)}
