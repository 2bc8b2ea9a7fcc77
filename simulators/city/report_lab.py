"""What was planted in the laboratory, and what the topics say happened."""

from __future__ import annotations

from simulators.city import lab
from simulators.city.facts import Expectation, Facts, expect


def bench(facts: Facts) -> Expectation:
    """A meter that fails: proposed, approved by a person, corrected."""
    judged = facts.of("metrology.meter_judged", "bench")
    verdicts = {body["judgement"]["verdict"] for body in judged}
    proposed = facts.of("metrology.correction_proposed", "bench")
    rounds = facts.of("billing.correction_issued", "bench", cause="metrology")
    difference = sum(body["difference_fen"] for body in rounds)
    found = (
        f"judged {', '.join(sorted(verdicts)) or '-'}, {len(proposed)} proposed, "
        f"{len(rounds)} correction of {difference} fen"
    )
    holds = "fail" in verdicts and len(proposed) == 1 and len(rounds) == 1 and difference < 0
    return expect("failed meter", "fail, proposed, approved, refunded", found, holds)


def late_bench(facts: Facts) -> Expectation:
    """A bench that is out of date judges nothing and certifies nothing; the proper one does."""
    refused = facts.of("metrology.run_rejected", "bench", rule="bench_standing")
    reasons = [reason for body in refused for reason in body["reasons"]]
    judged = facts.of("metrology.meter_judged", "bench")
    benches = {body["bench_no"] for body in judged}
    issued = facts.of("metrology.certificate_issued", "bench")
    found = (
        f"{'; '.join(reasons) or 'not refused'}; judged by {', '.join(sorted(benches)) or '-'}, "
        f"{len(issued)} certified"
    )
    holds = reasons == [
        f"bench {lab.LATE_BENCH} was due on {lab.LATE_DUE_ON}, measured on 2026-04-08"
    ] and (benches, len(judged), len(issued)) == ({"B1"}, 1, 1)
    return expect("bench out of date", "refused, then judged by B1", found, holds)


def broken_seal(facts: Facts) -> Expectation:
    """A seal found broken is a case of its meter and account, and is never used again."""
    cases = facts.of("metrology.seal_broken_found", "spike")
    again = facts.memory.of("metrology.seal_rejected", rule="used_again")
    by = cases[0]["broken"]["found_by"] if cases else "nobody"
    account = cases[0]["account_no"] if cases else "-"
    found = f"{len(cases)} case, found by {by}, account {account}; put back: refused {len(again)} x"
    holds = (len(cases), len(again)) == (1, 1) and account == facts.city.cast["spike"]
    return expect("broken seal", "one case, not used again", found, holds)
