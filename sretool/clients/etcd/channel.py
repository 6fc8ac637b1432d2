"""The gRPC channel to one member. Only this module imports grpc, and it is imported with the first call."""

import os
from collections.abc import Callable
from typing import Any

from sretool.clients.etcd.later import Later, left_for_later

# Read when grpc is imported: without it the C core prints lines of its own on stderr at every TLS failure.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

# grpc imports its asyncio half and asyncio with itself: more than half of its import time, for what a
# synchronous tool never uses. Whoever uses either gets the real one.
with left_for_later("grpc.aio", "asyncio"):
    import grpc

if isinstance(vars(grpc).get("aio"), Later):
    del grpc.aio

from sretool.clients.etcd.endpoint import Endpoint
from sretool.clients.etcd.messages import CLASSES
from sretool.clients.etcd.rpcs import Rpc

RpcError = grpc.RpcError

_RECEIVE_LIMIT_BYTES = 64 << 20
_OPTIONS = (
    ("grpc.enable_http_proxy", 0),  # http_proxy is for the web; it would swallow a loopback endpoint
    ("grpc.max_receive_message_length", _RECEIVE_LIMIT_BYTES),
    # Pings notice a frozen or vanished member during long calls; etcd's floor is 5 s between two of them.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    # A member that comes back is seen at once: by default gRPC would answer from memory for up to 2 min.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 5_000),  # also the limit on one attempt to connect
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.use_local_subchannel_pool", 1),  # one TCP connection for each Connection, closed with it
)


def open_channel(
    endpoint: Endpoint, *, ca: bytes | None, cert: bytes | None, key: bytes | None, is_tls: bool
) -> Any:
    """Return a lazy channel; nothing is sent until the first call."""
    options = channel_options(endpoint)
    if not is_tls:
        return grpc.insecure_channel(endpoint.target, options=options)
    credentials = grpc.ssl_channel_credentials(ca, key, cert)
    return grpc.secure_channel(endpoint.target, credentials, options=options)


def channel_options(endpoint: Endpoint) -> list[tuple[str, int | str]]:
    """Return the options that every channel to `endpoint` has."""
    options: list[tuple[str, int | str]] = [*_OPTIONS]
    if endpoint.server_name:
        options.append(("grpc.ssl_target_name_override", endpoint.server_name))
        options.append(("grpc.default_authority", endpoint.server_name))
    return options


def bind(channel: Any, rpc: Rpc, kind: str) -> Callable[..., Any]:
    """Return the callable of `rpc`; `kind` is `unary_unary`, `unary_stream` or `stream_stream`."""
    multi_callable: Callable[..., Any] = getattr(channel, kind)(
        f"/etcdserverpb.{rpc.path}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=CLASSES[rpc.response].FromString,
    )
    return multi_callable
