"""Faults of a member's peer network: packets lost, or late."""

import time

from sretool.errors import RefusedError, UsageError
from sretool.lab.delays import FOLLOW_SECONDS, read_delays, write_delays
from sretool.lab.faults.options import FaultOptions
from sretool.lab.lab import Lab
from sretool.lab.network import drop_packets, packet_table, remove_packet_rules, require_packet_rules
from sretool.lab.spec import LabMember

_DEFAULT_PERCENT = 30.0
_DEFAULT_MILLISECONDS = 200


def loss(lab: Lab, member: LabMember, options: FaultOptions) -> str:
    """Drop a share of the packets of the member's peer port; 100 % is a partition."""
    percent = _DEFAULT_PERCENT if options.percent is None else options.percent
    if not 0 < percent <= 100:
        raise UsageError(f"{percent:g} % of the packets cannot be dropped")
    require_packet_rules()
    drop_packets(
        packet_table(lab.record.block, member.name),
        address=member.address,
        percent=percent,
        proxied=lab.spec.peer_proxy,
    )
    return f"{percent:g} % of its peer packets are lost"


def no_loss(lab: Lab, member: LabMember, _options: FaultOptions) -> str:
    """Let every packet through again."""
    remove_packet_rules(lab.record.block, member.name)
    return "no peer packet is lost"


def delay(lab: Lab, member: LabMember, options: FaultOptions) -> str:
    """Delay what the member sends to its peers, and what they send to it, by so much each."""
    if not lab.spec.peer_proxy:
        raise RefusedError(
            f"delaying needs a proxy before each peer port, and the lab {lab.name} was started without",
            then=f"sretool lab down --name {lab.name}, then sretool lab up --name {lab.name} --peer-proxy",
        )
    milliseconds = options.milliseconds or _DEFAULT_MILLISECONDS
    write_delays(lab.directory, read_delays(lab.directory) | {member.name: milliseconds})
    time.sleep(FOLLOW_SECONDS)
    return f"its peer traffic is {milliseconds} ms late each way"


def no_delay(lab: Lab, member: LabMember, _options: FaultOptions) -> str:
    """Let peer traffic pass at once again."""
    left = {name: value for name, value in read_delays(lab.directory).items() if name != member.name}
    write_delays(lab.directory, left)
    time.sleep(FOLLOW_SECONDS)
    return "its peer traffic is in time"
