"""Whether the API server itself is away, or only cannot be asked from here."""

from sretool.clients.kubernetes.errors import NoConnectionError, StrangeAnswerError
from sretool.errors import NoAnswerError, NoQuorumError, RemoteError, TooManyRequestsError

_AWAY = (NoConnectionError, NoAnswerError, TooManyRequestsError, NoQuorumError)


def is_away(error: RemoteError) -> bool:
    """Tell whether a read failed because the API server itself is down, silent or overloaded: not because of this
    machine (kubeconfig, exec plugin, certificates, proxy, resolver), and not with an answer of somebody at work."""
    return isinstance(error, _AWAY) and not isinstance(error, StrangeAnswerError)
