"""`gridledger metrology open-case`: a meter that was wired, or billed, wrongly.

The factor from recorded to true energy is given as it is (`--factor 3`, `--factor 3/2`), as
reversed current transformers (`--reversed 1 --of 3` is 3, that is +200 %), or as two ratios
(`--billed-ratio 20 --real-ratio 30` is 3/2). Metrology decides whether the meter served the point
on these days; `gridledger metrology cases` then shows what an approval would change. With --json
the request as it was written.
"""

from __future__ import annotations

import json
import re
import secrets
from contextlib import closing
from fractions import Fraction
from typing import Annotated

import typer

from libs.events.codec import to_document
from libs.events.edge import EdgeProducer, utc_now
from libs.events.errors import BadInput
from libs.events.quantities import parse_scaled
from services.cli.metrology_desk import BENCH, SOURCE
from services.cli.records import named, open_cluster
from services.cli.row_values import day_until_today
from services.metrology.correction_energy import FACTOR_SCALE, reversed_transformer_factor
from services.metrology.events import CaseOpened, edge_catalogue
from services.metrology.hand_cases import RULES, check_request
from services.settings import load_settings
from services.wiring import open_producer

FACTOR = re.compile(r"(-?[0-9]{1,9})/([0-9]{1,9})")


def open_case(
    meter_no: Annotated[str, typer.Argument(help="The meter.", metavar="METER_NO")],
    point: Annotated[str, typer.Option(help="The usage point that it served.")],
    kind: Annotated[str, typer.Option(help=f"{' or '.join(RULES)}.")],
    from_on: Annotated[str, typer.Option(help="The first day, 2026-01-31.")],
    to_on: Annotated[str, typer.Option(help="The day after the last one.")],
    by: Annotated[str, typer.Option(help="Who found it.")],
    findings: Annotated[str, typer.Option(help="What it rests on: the protocol, the readings.")],
    factor: Annotated[str, typer.Option(help="True by recorded energy: 3, 1.5, 3/2.")] = "",
    reversed_count: Annotated[
        int, typer.Option("--reversed", help="So many current transformers are reversed.")
    ] = 0,
    phases: Annotated[int, typer.Option("--of", help="Of so many.")] = 3,
    billed_ratio: Annotated[str, typer.Option(help="The ratio that was billed by.")] = "",
    real_ratio: Annotated[str, typer.Option(help="The ratio that is there.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Open a case of wrong wiring or of a wrong ratio; a person decides it later."""
    found = read_factor(factor, reversed_count, phases, (billed_ratio, real_ratio))
    request = make_request(meter_no, point, kind, found, (from_on, to_on), by, findings)
    settings = load_settings().settings
    open_cluster(settings).close()
    with closing(open_producer(settings, SOURCE, edge_catalogue)) as producer:
        send_request(producer, request)
    if as_json:
        print(json.dumps(to_document(request), ensure_ascii=False))
        return
    print(f"case {kind}/{request.request_id} asked for, factor {found}; metrology decides")


def read_factor(factor: str, reversed_count: int, phases: int, ratios: tuple[str, str]) -> Fraction:
    """The factor, given in one of the three ways; BadInput names the option that is wrong."""
    given = [bool(factor), bool(reversed_count), any(ratios)]
    if given.count(True) != 1:
        problem = "is not given" if not any(given) else "is given in two ways"
        raise BadInput("--factor", problem, "give --factor, --reversed, or both ratios")
    if reversed_count:
        try:
            return reversed_transformer_factor(reversed_count, phases)
        except BadInput as wrong:
            raise BadInput("--reversed", wrong.problem, wrong.fix) from None
    if factor:
        return _fraction(factor)
    billed, real = (
        _above_zero(text, name)
        for text, name in zip(ratios, ("--billed-ratio", "--real-ratio"), strict=True)
    )
    return Fraction(real, billed)


def make_request(
    meter_no: str,
    point: str,
    kind: str,
    factor: Fraction,
    days: tuple[str, str],
    by: str,
    findings: str,
) -> CaseOpened:
    """A request with an id of its own; BadInput names the option that is wrong."""
    request = CaseOpened(
        request_id=secrets.token_hex(8),
        meter_no=named("METER_NO", meter_no, "name the meter"),
        usage_point=named("--point", point, "name the point that it served"),
        kind=kind,
        factor_num=factor.numerator,
        factor_den=factor.denominator,
        from_on=day_until_today("--from-on", days[0]),
        to_on=day_until_today("--to-on", days[1]),
        opened_by=by,
        findings=findings,
        requested_at=utc_now(),
    )
    try:
        check_request(request)
    except BadInput as wrong:
        name = {"opened_by": "by"}.get(wrong.field, wrong.field).replace("_", "-")
        raise BadInput(f"--{name}", wrong.problem, wrong.fix) from None
    return request


def send_request(producer: EdgeProducer, request: CaseOpened) -> int:
    """Write the request where the meter's runs are; its offset. Raises Unavailable."""
    return producer.append(BENCH, request.meter_no, request)


def _fraction(text: str) -> Fraction:
    found = FACTOR.fullmatch(text)
    if found is None:
        return Fraction(parse_scaled(text, FACTOR_SCALE, "--factor"), FACTOR_SCALE)
    if not int(found[2]):
        raise BadInput("--factor", f"{text} divides by zero", "write it as 3 or 3/2")
    return Fraction(int(found[1]), int(found[2]))


def _above_zero(text: str, name: str) -> int:
    scaled = parse_scaled(text, FACTOR_SCALE, name) if text else 0
    if scaled <= 0:
        raise BadInput(name, f"{text!r} is no ratio", "give both ratios, above zero")
    return scaled
