"""Free ports are free, different, and out of the way of outgoing connections."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from services.local import ports


def test_ports_are_different_free_and_below_the_outgoing_range() -> None:
    chosen = ports.free_ports(6)
    assert len(set(chosen)) == 6
    first_outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert all(15_000 <= port < max(first_outgoing, 32_768) for port in chosen)
    assert all(ports.is_free(port) and not ports.answers(port) for port in chosen)


def test_a_taken_port_is_not_free_until_it_is_given_back() -> None:
    with socket.create_server((ports.LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        assert ports.answers(port)
        assert not ports.is_free(port)
        assert not ports.wait_free(port, timeout_s=0.1)
    assert ports.wait_free(port, timeout_s=1)
    assert not ports.answers(port)


@pytest.mark.parametrize(
    ("content", "lowest"), [("20000 60999", 20_000), ("1024 65535", 32_768), ("", 32_768)]
)
def test_a_very_wide_outgoing_range_leaves_room_nevertheless(
    content: str, lowest: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "range"
    file.write_text(content)
    monkeypatch.setattr(ports, "_RANGE_FILE", file)
    assert ports._lowest_outgoing_port() == lowest
