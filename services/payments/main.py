"""One member of payments as a process: the core of the accounts, and beside it what calls channels.

The effect core asks WeChat Pay and Alipay about orders and tells them to refund. It has few records
a minute and waits for others most of the time, so it takes a thread of this process, with its own
group, topics and checkpoints (docs/adr/0020). Either one's end is the end of both.
"""

from __future__ import annotations

from contextlib import closing

from libs.events.host import decider_hash
from services.payments.core import PURE_MODULES, make_core
from services.payments.effect.calls import Http, Performer
from services.payments.effect.core import PURE_MODULES as EFFECT_MODULES
from services.payments.effect.core import make_core as make_effect
from services.payments.policy import DEFAULT_POLICY
from services.payments.webhooks import load_profiles
from services.policy_file import policy_of
from services.settings import Settings
from services.wiring import make_effect_loop, run_core


def run(settings: Settings, ordinal: int) -> int:
    """Run until told to stop; the exit status."""
    policy = policy_of(settings.policy_file, "payments", DEFAULT_POLICY)
    file = settings.payment_profiles_file
    profiles = load_profiles(file) if file is not None else None
    with closing(Http()) as http:
        effect = make_effect_loop(
            make_effect(decider_hash(EFFECT_MODULES)), settings, ordinal, Performer(profiles, http)
        )
        core = make_core(decider_hash(PURE_MODULES), policy)
        return run_core(core, settings, ordinal, beside=(effect,))
