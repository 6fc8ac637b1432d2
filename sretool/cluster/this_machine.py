"""Whether an address is this machine's own."""

import ipaddress
import socket

_ANY_PORT = 9


def is_here(address: str) -> bool:
    """Tell whether `address` (no name) is one of this machine's: the kernel would talk to it from itself.

    That it can be bound says less: beside a floating address (`ip_nonlocal_bind`) any can.
    """
    try:
        if ipaddress.ip_address(address).is_loopback:
            return True
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, _ANY_PORT))  # of UDP: nothing is sent
            return str(probe.getsockname()[0]) == address
    except (OSError, ValueError):
        return False
