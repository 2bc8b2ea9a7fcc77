"""Free loopback ports that are still free when a server comes back.

They are taken below the range from which the system gives ports to outgoing connections: a
client that tries to reach a stopped server there can be connected to itself and keep the port.
"""

from __future__ import annotations

import random
import socket
import time
from pathlib import Path

LOOPBACK = "127.0.0.1"
_FIRST = 15_000
_RANGE_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen on this port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def wait_free(port: int, timeout_s: float) -> bool:
    """Whether the port is free now or within `timeout_s` (a killed server lets go of it late)."""
    deadline = time.monotonic() + timeout_s
    while not is_free(port):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.05)
    return True


def answers(port: int, host: str = LOOPBACK, timeout_s: float = 0.5) -> bool:
    """Whether something accepts connections on this port."""
    try:
        socket.create_connection((host, port), timeout=timeout_s).close()
    except OSError:
        return False
    return True


def free_ports(count: int) -> list[int]:
    """`count` different free ports, chosen at random so that two starters rarely meet."""
    last = _lowest_outgoing_port() - 1
    chosen: list[int] = []
    while len(chosen) < count:
        port = random.SystemRandom().randint(_FIRST, last)
        if port not in chosen and is_free(port):
            chosen.append(port)
    return chosen


def _lowest_outgoing_port() -> int:
    try:
        lowest = int(_RANGE_FILE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        lowest = 32_768
    return lowest if lowest > _FIRST + 1_000 else 32_768
