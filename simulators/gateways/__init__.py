"""Payment gateways that behave like WeChat Pay, Alipay and a POS acquirer, well and badly.

They sign with keys of their own, send real callbacks over real HTTP, retry what was not taken, and
misbehave on demand. They share no code with the edge they test, so a rule misread there is not
misread here in the same way.

Example: `python -m simulators.gateways CONFIG.json`, then over TCP, one JSON object per line:
    {"op": "pay", "channel": "wechat", "order": "1000000042126010001", "amount_fen": 12345,
     "at": "2026-01-31T08:00:00+08:00", "faults": {"copies": 50}}
"""
