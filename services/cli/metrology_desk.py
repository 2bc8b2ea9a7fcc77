"""`gridledger metrology move`, `seal` and `register`: what people ask of the laboratory's core.

Each writes one request and returns after the broker's ack; metrology decides it, and its events say
what became of it (`device_moved` or `move_rejected`, `seal_moved` or `seal_rejected`,
`standard_adopted` or `standard_rejected`). What no state could allow is refused here already. With
--json each prints the request as it was written.
"""

from __future__ import annotations

import json
import secrets
from contextlib import closing
from typing import Annotated, Any

import typer

from libs.events.codec import to_document
from libs.events.edge import EdgeProducer, WriterPort, broadcast, utc_now
from libs.events.errors import BadInput
from libs.events.kafka import TransactionalWriter
from services.cli.records import named, open_cluster
from services.metrology.device_store import ACTIONS, DeviceMove, check_move
from services.metrology.events import (
    MoveRequested,
    SealReported,
    StandardRegistered,
    edge_catalogue,
)
from services.metrology.seal_custody import ACTIONS as SEAL_ACTIONS
from services.metrology.seal_custody import SealEvent, check_event
from services.metrology.standards_register import KINDS, CertifiedStandard, check_standard
from services.settings import Settings, load_settings
from services.wiring import open_producer

BENCH = "metrology.bench"
STANDARDS = "metrology.standards"
SOURCE = "metrology.edge"

By = Annotated[str, typer.Option(help="Who does it.")]
At = Annotated[str, typer.Option(help="When, as 2026-01-31T16:00:00Z (now).")]
Reason = Annotated[str, typer.Option(help="Why.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def move(
    device_no: Annotated[str, typer.Argument(help="The meter or device.", metavar="DEVICE_NO")],
    action: Annotated[str, typer.Argument(help=f"{', '.join(ACTIONS)}.", metavar="ACTION")],
    place: Annotated[str, typer.Option(help="The shelf, or the usage point.")],
    by: By,
    at: At = "",
    reason: Reason = "",
    accuracy_class: Annotated[str, typer.Option(help="With receive: as delivered.")] = "",
    connection: Annotated[str, typer.Option(help="With receive: direct or ct.")] = "",
    as_json: AsJson = False,
) -> None:
    """Ask for a move of a device in the meter store."""
    wanted = DeviceMove(
        device_no=device_no, action=action, by=by, at=_done_at(at), place=place, reason=reason
    )
    request = make_move(wanted, accuracy_class, connection)
    _append(device_no, request)
    _say(request, f"{action} of {device_no} recorded; metrology decides", as_json)


def make_move(wanted: DeviceMove, accuracy_class: str = "", connection: str = "") -> MoveRequested:
    """A request with an id of its own; BadInput names the option that is wrong."""
    _checked(check_move, wanted)
    return MoveRequested(
        request_id=f"move/{secrets.token_hex(8)}",
        move=wanted,
        requested_at=utc_now(),
        accuracy_class=accuracy_class,
        connection=connection,
    )


def seal(
    seal_no: Annotated[str, typer.Argument(help="The seal.", metavar="SEAL_NO")],
    action: Annotated[str, typer.Argument(help=f"{', '.join(SEAL_ACTIONS)}.", metavar="ACTION")],
    by: By,
    at: At = "",
    kind: Annotated[str, typer.Option(help="With issue: factory, verification, ...")] = "",
    holder: Annotated[str, typer.Option(help="With issue, hand_over: who holds it now.")] = "",
    device: Annotated[str, typer.Option(help="With apply, remove, break: the device.")] = "",
    location: Annotated[str, typer.Option(help="With apply: where on the device.")] = "",
    reason: Reason = "",
    photo: Annotated[str, typer.Option(help="Name or hash of the picture.")] = "",
    as_json: AsJson = False,
) -> None:
    """Report what was done with a seal, or that it was found broken (`break`)."""
    entry = SealEvent(
        seal_no=seal_no,
        action=action,
        by=by,
        at=_done_at(at),
        kind=kind,
        holder=holder,
        device_no=device,
        location=location,
        reason=reason,
        photo=photo,
    )
    report = make_entry(entry)
    _append(seal_no, report)
    _say(report, f"{action} of seal {seal_no} recorded; metrology decides", as_json)


def make_entry(entry: SealEvent) -> SealReported:
    """A report with an id of its own; BadInput names the option that is wrong."""
    _checked(check_event, entry)
    request_id = f"seal/{secrets.token_hex(8)}"
    return SealReported(request_id=request_id, entry=entry, reported_at=utc_now())


def register(
    kind: Annotated[str, typer.Argument(help=f"{' or '.join(KINDS)}.", metavar="KIND")],
    number: Annotated[str, typer.Argument(help="Of the bench or meter.", metavar="NUMBER")],
    certificate: Annotated[str, typer.Option(help="The certificate's number.")],
    accuracy_class: Annotated[str, typer.Option(help="Its class, as 0.05.")],
    from_on: Annotated[str, typer.Option(help="The first day in time.")],
    due_on: Annotated[str, typer.Option(help="The last day in time.")],
    by: By,
    as_json: AsJson = False,
) -> None:
    """Register a certificate of a bench or reference meter: by it their runs are judged."""
    standard = CertifiedStandard(
        kind=kind,
        standard_no=number,
        certificate_no=certificate,
        accuracy_class=accuracy_class,
        from_on=from_on,
        due_on=due_on,
    )
    body = make_registration(standard, by)
    settings = _cluster()
    writer = TransactionalWriter(settings.kafka(), SOURCE)
    send_registration(writer, body, settings.partitions)
    _say(body, f"{kind} {number}, certificate {certificate} recorded until {due_on}", as_json)


def make_registration(standard: CertifiedStandard, by: str) -> StandardRegistered:
    """The record of a certificate; BadInput names the option that is wrong."""
    _checked(check_standard, standard)
    return StandardRegistered(
        standard=standard,
        registered_by=named("--by", by, "say who registers it"),
        registered_at=utc_now(),
    )


def send_registration(writer: WriterPort, body: StandardRegistered, partitions: int) -> None:
    """Write a certificate to every partition, in one transaction."""
    broadcast(writer, SOURCE, edge_catalogue, STANDARDS, body, partitions)


OPTIONS = {
    "device_no": "DEVICE_NO",
    "seal_no": "SEAL_NO",
    "action": "ACTION",
    "kind": "KIND",
    "standard_no": "NUMBER",
    "certificate_no": "--certificate",
    "reference_class": "--accuracy-class",
}
"""How a field is called on the command line, where it is not the option of its name."""


def _checked(check: Any, body: Any) -> None:
    try:
        check(body)
    except BadInput as wrong:
        name = OPTIONS.get(wrong.field, f"--{wrong.field.replace('_', '-')}")
        if wrong.field == "kind" and isinstance(body, SealEvent):
            name = "--kind"
        if wrong.field == "device_no" and isinstance(body, SealEvent):
            name = "--device"
        raise BadInput(name, wrong.problem, wrong.fix) from None


def _done_at(at: str) -> str:
    """Now, or the instant given: what is dated ahead would hide all that is told until then."""
    now = utc_now()
    if at > now:
        raise BadInput("--at", f"{at} is after {now}", "give the instant it was done at")
    return at or now


def _cluster() -> Settings:
    """The settings, after a look at the cluster: it says at once what a writer says late."""
    settings = load_settings().settings
    open_cluster(settings).close()
    return settings


def _append(key: str, body: Any) -> None:
    with closing(open_producer(_cluster(), SOURCE, edge_catalogue)) as producer:
        send(producer, key, body)


def send(producer: EdgeProducer, key: str, body: MoveRequested | SealReported) -> int:
    """Write a request under the number of its device or seal; its offset. Raises Unavailable."""
    return producer.append(BENCH, key, body)


def _say(body: Any, text: str, as_json: bool) -> None:
    print(json.dumps(to_document(body), ensure_ascii=False) if as_json else text)
