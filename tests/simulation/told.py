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
