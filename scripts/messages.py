"""What the set-up says: progress, and one line with the fix for what cannot be had."""

from __future__ import annotations

import re

_NETWORK_SIGNS = (
    "name resolution",
    "Network is unreachable",
    "Connection refused",
    "Max retries exceeded",
    "error sending request",
    "dns error",
    "Failed to fetch",
    "Unknown host",
    "UnknownHostException",
    "Could not transfer",
    "Could not resolve host",
    "Temporary failure",
    "timed out",
    "No matching distribution",
)
_HASH_SIGNS = re.compile(r"(?i)hash mismatch|do not match the hashes")
_ERROR_LINE = re.compile(r"(?i)(error|\[error\]|x |× |E: )")


class SetupError(Exception):
    """The machine lacks something; the text is one line that names the fix."""


def say(text: str) -> None:
    """Print one line of progress."""
    print(f"set-up: {text}", flush=True)


def reason(output: str) -> str:
    """Why a tool failed, in one line, with the fix where it is known."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    first_error = next((line for line in lines if _ERROR_LINE.match(line)), "")
    line = (first_error or (lines[-1] if lines else "it printed nothing"))[:300]
    if _HASH_SIGNS.search(output):
        return f"a file has another SHA-256 than the lock: check your package mirror; {line}"
    if any(sign in output for sign in _NETWORK_SIGNS):
        return (
            "the network or the mirror does not answer: check the connection, pip's index-url for "
            f"packages and Maven's settings.xml for jars; {line}"
        )
    return line
