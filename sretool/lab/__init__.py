"""A real local etcd for rehearsals and tests: TLS members as processes on loopback, and faults in them."""

from sretool.lab.lab import Lab
from sretool.lab.labs import complete_labs, down, labs, open_lab, up
from sretool.lab.members import MemberStatus
from sretool.lab.spec import LabHome, LabMember, LabSpec

__all__ = [
    "Lab",
    "LabHome",
    "LabMember",
    "LabSpec",
    "MemberStatus",
    "complete_labs",
    "down",
    "labs",
    "open_lab",
    "up",
]
