"""What customers tell control of an account in a simulation: agreement and opening position."""

from __future__ import annotations

from services.control.reactions import (
    AgreementPublished,
    Opening,
    OpeningHold,
    OpeningReceivable,
    PointTerms,
    SignedTerms,
    SwitchPoint,
    Terms,
)
from services.control.safety import ContactChanged
from services.control.safety_events import WeatherTold

SIGNED = SignedTerms(agreement_no="Y-1", signed_on="2026-01-01", credit_limit_fen=0)


def published(account: str, changes: dict[str, str]) -> AgreementPublished:
    """An agreement as customers publish it."""
    terms = Terms(
        valid_from_on="2025-01-01",
        category="residential",
        payment_mode=changes.get("mode", "postpaid"),
        protected=changes.get("protected", ""),
        moved_out_on="",
        prepaid=SIGNED if "mode" in changes else None,
    )
    point = PointTerms(
        usage_point=f"P{account}", category="residential", from_on="2025-01-01", to_on=""
    )
    switch = SwitchPoint(
        usage_point=f"P{account}",
        meter_no="M1",
        address="000000000042",
        installed_from_at="2025-01-01T00:00:00Z",
        switching_method=changes.get("method", "meter_relay"),
        voltage_class=changes.get("voltage", "lt1kv"),
        area=changes.get("area", f"A{account}"),
    )
    return AgreementPublished(
        account_no=account, version=1, terms=(terms,), points=(point,), switch_points=(switch,)
    )


def opening(account: str, reasons: tuple[str, ...]) -> Opening:
    """An opening position with holds."""
    return Opening(
        opening_id=f"o{account}",
        account_no=account,
        receivables=(OpeningReceivable(invoice_no="INV1"),),
        holds=tuple(
            OpeningHold(usage_point=f"P{account}", reason=reason, since_on="2026-02-01")
            for reason in reasons
        ),
    )


def contact(
    account: str, at: str, *, reachable: bool = True, meter_no: str = "M1"
) -> ContactChanged:
    """What ingest tells of the account's meter."""
    return ContactChanged(
        account_no=account,
        usage_point=f"P{account}",
        meter_no=meter_no,
        reachable=reachable,
        data_to_on="2026-03-01",
        told_at=at,
    )


def weather(alarm: str = "", area: str = "", until_at: str = "2026-03-12T16:00:00Z") -> WeatherTold:
    """A statement about the day of the cut."""
    return WeatherTold(
        statement_id=f"{area}/{alarm}/{until_at}",
        area=area,
        alarm=alarm,
        from_at="2026-03-11T16:00:00Z",
        until_at=until_at,
        person="chen",
    )


def match_details(meter_no: str = "M1") -> dict[str, str]:
    """What somebody reports who saw which meter measures the household."""
    return {"meter_no": meter_no, "verified_on": "2026-03-01", "evidence": "photo 3"}
