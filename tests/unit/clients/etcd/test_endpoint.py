"""Endpoints and key ranges."""

import pytest

from sretool.clients.etcd import Endpoint, prefix_end
from sretool.errors import UsageError


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://127.0.0.11:2379", "127.0.0.11:2379"),
        ("http://etcd-1.internal:12379", "etcd-1.internal:12379"),
        ("https://[2001:db8::1]:2379", "[2001:db8::1]:2379"),
        ("https://etcd-1", "etcd-1:2379"),
        ("https://etcd-1:2379/", "etcd-1:2379"),
    ],
)
def test_the_target_is_host_and_port(url: str, target: str) -> None:
    endpoint = Endpoint("m1", url)
    assert endpoint.target == target
    assert endpoint.is_tls == url.startswith("https")
    assert str(endpoint) == f"m1 ({url})"


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:2379", "ftp://m1:2379", "https://", "https://m1:port", "https://m1:99999", "https://m1:0",
     "https://user@m1:2379", "https://m1:2379/path", "https://m1:2379?x=1", "https://[::1:2379"],
)  # fmt: skip
def test_a_url_that_names_no_endpoint_is_a_usage_error(url: str) -> None:
    with pytest.raises(UsageError, match="the endpoint of m1 cannot be used") as caught:
        Endpoint("m1", url)
    assert caught.value.then


def test_the_certificate_carries_the_host_or_the_server_name() -> None:
    assert Endpoint("m1", "https://10.0.0.1:2379").certificate_name == "10.0.0.1"
    assert Endpoint("m1", "https://127.0.0.1:5000", "etcd-1").certificate_name == "etcd-1"


@pytest.mark.parametrize(
    ("prefix", "end"),
    [(b"/a", b"/b"), (b"a\xff", b"b"), (b"", b"\0"), (b"\xff\xff", b"\0"), (b"a\xfe", b"a\xff")],
)
def test_a_prefix_ends_before_the_next_one(prefix: bytes, end: bytes) -> None:
    assert prefix_end(prefix) == end
