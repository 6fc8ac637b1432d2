"""A real local control plane for rehearsals and tests: etcd with TLS, Kubernetes on it if wanted, and faults."""

from sretool.lab.control_plane import ComponentStatus
from sretool.lab.lab import Lab
from sretool.lab.labs import complete_labs, down, labs, open_lab, up
from sretool.lab.members import MemberStatus
from sretool.lab.rest import Api
from sretool.lab.spec import LabComponent, LabHome, LabMember, LabSpec

__all__ = [
    "Api",
    "ComponentStatus",
    "Lab",
    "LabComponent",
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
