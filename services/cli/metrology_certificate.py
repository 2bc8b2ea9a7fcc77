"""`gridledger metrology certificate sign|issued|verify`: signed files, checked offline.

    openssl genpkey -algorithm ed25519 -out lab.pem
    openssl pkey -in lab.pem -pubout -out lab.pub.pem

`sign` judges a run of a file itself, so that nothing can be certified that was not measured;
`issued` signs what the installation issued (`metrology.certificate_issued`): the core tells content
and hash, the key stays with whoever signs. A file is one line of canonical JSON
(services/metrology/certificate.py). With --json all print one object:

    file, valid (true or false), problem ("" when valid), key_id, certificate (its members; null
    when it is not valid)
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from libs.events.audit import Reader
from libs.events.codec import Codec
from libs.events.errors import BadInput
from services.cli.metrology_judge import JudgedRun, day_option, judged_by, judged_runs
from services.cli.records import known_bodies, named, open_records
from services.metrology.certificate import (
    SignedCertificate,
    content_digest,
    decode_signed,
    encode_signed,
    make_certificate,
    result_digest,
)
from services.metrology.certificate_signing import (
    BadSignature,
    check_signature,
    read_private_key,
    read_public_key,
    sign,
)
from services.metrology.events import CertificateIssued, catalogue

app = typer.Typer(no_args_is_help=True, help="Certificates of verification: sign, verify.")
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
CERTIFICATE_BYTES_MAX = 100_000


@app.command(
    "sign",
    epilog="Example: gridledger metrology certificate sign runs.jsonl --run B1-0001 --number C-1 "
    "--by 'head of lab' --key lab.pem --out C-1.json",
)
def sign_file(
    file: Annotated[str, typer.Argument(help="Runs as for `judge`, - for standard input.")],
    number: Annotated[str, typer.Option(help="The certificate's number.")],
    by: Annotated[str, typer.Option(help="Who issues it.")],
    key: Annotated[Path, typer.Option(help="Private Ed25519 key in PEM.", metavar="PEM")],
    out: Annotated[Path, typer.Option(help="Where to write it.", metavar="FILE")],
    run: Annotated[str, typer.Option(help="Which run, when there are more.")] = "",
    on: Annotated[str, typer.Option(help="Day of issue (today).")] = "",
    standards: Annotated[
        Path | None, typer.Option(help="Register of benches and references.", metavar="FILE")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Judge a run and write a signed certificate of it; one that failed gets a notice of result."""
    day = day_option(on)
    secret = read_private_key(key)
    if out.exists():
        raise BadInput("--out", f"{out} is there already", "a certificate is never overwritten")
    judged = _one(file, run, day, standards)
    found = judged.judgement
    if found.verdict == "not_judged":
        raise BadInput(
            f"run {found.run_id}", f"was not judged: {found.reasons[0]}", "measure again"
        )
    signed = sign(
        make_certificate(
            certificate_no=named("--number", number, "give the number of the certificate"),
            device_no=judged.device_no,
            device=judged.device,
            accuracy_class=found.accuracy_class,
            run_id=found.run_id,
            verdict=found.verdict,
            rules=found.rules,
            limits=found.limits,
            measured_on=judged.measured_on,
            valid_until=judged.next_due_on,
            issued_on=day,
            issued_by=named("--by", by, "say who issues it"),
            result_sha256=result_digest(found),
        ),
        secret,
    )
    out.write_bytes(encode_signed(signed))
    _say(out, signed, "", as_json)


@app.command(
    "issued",
    epilog="Example: gridledger metrology certificate issued B1-M1-20260301T020000Z --key lab.pem "
    "--out C-1.json",
)
def sign_issued(
    run_id: Annotated[str, typer.Argument(help="The bench's run.", metavar="RUN_ID")],
    key: Annotated[Path, typer.Option(help="Private Ed25519 key in PEM.", metavar="PEM")],
    out: Annotated[Path, typer.Option(help="Where to write it.", metavar="FILE")],
    from_files: Annotated[
        Path | None, typer.Option("--from-files", help="Read an export.", metavar="DIR")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Sign the certificate (or notice of result) that metrology issued for a run."""
    secret = read_private_key(key)
    if out.exists():
        raise BadInput("--out", f"{out} is there already", "a certificate is never overwritten")
    issued = find_issued(*open_records(from_files), run_id)
    signed = sign(issued.certificate, secret)
    out.write_bytes(encode_signed(signed))
    _say(out, signed, "", as_json)


def find_issued(reader: Reader, partitions: int, run_id: str) -> CertificateIssued:
    """What was issued for a run; BadInput when nothing was, or it is not what was hashed."""
    codec = Codec(catalogue)
    for partition in range(partitions):
        for body in known_bodies(reader, codec, "metrology.events", partition):
            if isinstance(body, CertificateIssued) and body.certificate.run_id == run_id:
                if content_digest(body.certificate) != body.sha256:
                    fix = "`gridledger audit verify` shows what else was changed"
                    raise BadInput("RUN_ID", f"the certificate of {run_id!r} was changed", fix)
                return body
    fix = "see `metrology judgement`: what was not judged gets none"
    raise BadInput("RUN_ID", f"nothing was issued for {run_id!r}", fix)


def _one(file: str, run: str, on: str, standards: Path | None) -> JudgedRun:
    found = [
        judged
        for judged in judged_runs(file, on, judged_by(standards))
        if run in {"", judged.judgement.run_id}
    ]
    if not found:
        raise BadInput("--run", f"there is no run {run!r} in {file}", "see `judge`")
    if len(found) > 1:
        raise BadInput("--run", f"{file} has {len(found)} runs of it", "name one run")
    return found[0]


@app.command(
    "verify",
    epilog="Example: gridledger metrology certificate verify C-1.json --key lab.pub.pem",
)
def verify_file(
    file: Annotated[Path, typer.Argument(help="The certificate.")],
    key: Annotated[Path, typer.Option(help="Public Ed25519 key in PEM.", metavar="PEM")],
    on: Annotated[str, typer.Option(help="The day it must be valid on (today).")] = "",
    as_json: AsJson = False,
) -> int:
    """Check a certificate offline: status 1 when it was changed, or is not valid on the day."""
    day = day_option(on)
    public = read_public_key(key)
    content = _content(file)
    try:
        signed = decode_signed(content)
        check_signature(signed, public)
    except BadSignature as wrong:
        _say(file, None, str(wrong), as_json)
        return 1
    except BadInput as wrong:
        raise BadInput(f"{file}: {wrong.field}", wrong.problem, wrong.fix) from None
    certificate = signed.certificate
    problem = ""
    if certificate.issued_on > day:
        problem = f"it was issued on {certificate.issued_on}, after {day}"
    elif certificate.valid_until and certificate.valid_until < day:
        problem = f"it was valid until {certificate.valid_until}"
    _say(file, signed, problem, as_json)
    return 1 if problem else 0


def _content(file: Path) -> bytes:
    try:
        with file.open("rb") as source:
            content = source.read(CERTIFICATE_BYTES_MAX + 1)
    except OSError as error:
        problem = error.strerror or "cannot be read"
        raise BadInput(str(file), problem, "name a file that you may read") from None
    if not content or len(content) > CERTIFICATE_BYTES_MAX:
        problem = "is too long for a certificate" if content else "is empty"
        raise BadInput(str(file), problem, "give the file as it was issued")
    return content


def _say(file: Path, signed: SignedCertificate | None, problem: str, as_json: bool) -> None:
    if as_json:
        document: dict[str, Any] = {
            "file": str(file),
            "valid": not problem,
            "problem": problem,
            "key_id": signed.signature.key_id if signed else "",
            "certificate": asdict(signed.certificate) if signed else None,
        }
        print(json.dumps(document, ensure_ascii=False))
        return
    if signed is None:
        print(f"{file}: NOT VALID: {problem}")
        return
    found = signed.certificate
    print(f"{file}: {'NOT VALID: ' + problem if problem else 'signature is good'}")
    device = f"{found.device} {found.device_no}, class {found.accuracy_class}"
    print(f"{found.kind} {found.certificate_no} of {device}: {found.verdict}")
    until = f", valid until {found.valid_until}" if found.valid_until else ""
    print(f"run {found.run_id}, measured on {found.measured_on}{until}")
    print(f"issued on {found.issued_on} by {found.issued_by}, key {signed.signature.key_id}")
