"""A simulated verification bench: it measures the meters placed on it and tells the lab's edge.

`python -m simulators.bench CONFIG.json` is a program of its own that speaks the bench protocol
(services/metrology/bench_protocol.py) over TCP and is told over a control port which meter to
measure, with which true error, and how to misbehave (simulators/bench/control.py).
"""
