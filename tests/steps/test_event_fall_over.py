"""From the API server to etcd in the middle of a deletion: only where nobody listens at the server any more."""

import pytest

from sretool.clients.kubernetes.errors import NobodyListensError
from sretool.cluster.event_deletion import Tally, delete_through_api, pace_through_api
from sretool.errors import NoAnswerError, TlsError, UnreachableError

SELECTION = {"namespace": "shop", "reason": "BackOff", "limit": 20, "each": [], "otherwise": {"prefix": "/"}}


class Server:
    """Gives no answer to a deletion, and fails everything after it."""

    def __init__(self, later):
        self._later, self._is_later = later, False

    def read_one_object(self):
        if self._is_later:
            raise self._later

    def delete_collection(self, _path, **_given):
        self._is_later = True
        raise NoAnswerError("cut")


def delete(later):
    return delete_through_api(Server(later), SELECTION, pace_through_api(), Tally(), objects=20)


def test_where_nobody_listens_any_more_the_rest_is_left_to_etcd():
    assert "the API server went away (refused)" in delete(NobodyListensError("refused"))


@pytest.mark.parametrize(
    "later",
    [
        UnreachableError("the exec plugin login ended with 1: token expired"),
        TlsError("certificate has expired"),
        UnreachableError("the proxy does not let it through"),
    ],
)
def test_what_only_this_machine_cannot_do_any_more_leaves_nothing_to_etcd(later):
    with pytest.raises(NoAnswerError, match="cut"):
        delete(later)
