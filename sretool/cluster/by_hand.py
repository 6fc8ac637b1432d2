"""The etcdctl commands that a plan shows, as a person can type them where etcd is reached in its pods only."""

from collections.abc import Iterable, Sequence

import msgspec

from sretool.cluster.inventory import InventoryMember
from sretool.model import Proposal


def commands_by_hand(commands: Iterable[str], members: Sequence[InventoryMember]) -> tuple[str, ...]:
    """Return `commands`, etcdctl inside the pod of a member that is reached there."""
    return tuple(_in_pod(command, members) for command in commands)


def proposal_by_hand(proposal: Proposal, members: Sequence[InventoryMember]) -> Proposal:
    """Return `proposal` with its commands as a person can type them."""
    if not any(member.pod for member in members):
        return proposal
    replace = msgspec.structs.replace
    waves = tuple(
        tuple(
            replace(
                change,
                commands=commands_by_hand(change.commands, members),
                commands_back=commands_by_hand(change.commands_back, members),
            )
            for change in wave
        )
        for wave in proposal.waves
    )
    held = tuple(replace(one, commands=commands_by_hand(one.commands, members)) for one in proposal.held)
    return replace(proposal, waves=waves, held=held)


def _in_pod(command: str, members: Sequence[InventoryMember]) -> str:
    start, _, rest = command.partition(" --endpoints=")
    endpoints, _, rest = rest.partition(" ")
    asked = endpoints.split(",")
    pod = next((one.pod for one in members if one.pod and one.client in asked), None)
    if start != "etcdctl" or pod is None:
        return command
    # Of several it is one etcdctl: control-plane pods are on the host's network, from where the others are reached.
    called = pod.by_hand if len(asked) == 1 else pod.by_hand.replace(pod.endpoint, endpoints, 1)
    return f"{called} {rest}"
