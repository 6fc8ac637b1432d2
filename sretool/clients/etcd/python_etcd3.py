"""python-etcd3 beside our client, for `sretool[etcd3]`: our calls on its channel, or its client on our files.

Why it is not the engine: docs/adr/0003-python-etcd3-is-an-adapter.md.
"""

import ast
import importlib.util
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sretool.clients.etcd.connection import Connection
from sretool.clients.etcd.endpoint import Endpoint, TlsFiles
from sretool.errors import UsageError

_MESSAGES = "etcd3.etcdrpc"
_FILES = ("kv_pb2.py", "auth_pb2.py", "rpc_pb2.py")  # in the order of their imports


def connection_over(client: Any, endpoint: Endpoint) -> Connection:
    """Return a connection on the channel of an `etcd3.Etcd3Client`, for EtcdReads and EtcdWrites.

    The channel stays the client's: closing the connection leaves it open. Its limits stay too: 4 MiB an
    answer, and proxies from the environment, unless it was made by `python_etcd3_client`.
    """
    return Connection(endpoint, None, channel=client.channel)


def python_etcd3_client(endpoint: Endpoint, tls: TlsFiles | None, *, timeout_seconds: float) -> Any:
    """Return an `etcd3.Etcd3Client` for `endpoint`; `timeout_seconds` holds for each of its calls.

    UsageError when python-etcd3 is not installed, or is not the release whose messages we can load.
    """
    from sretool.clients.etcd.channel import channel_options

    etcd3 = _import_etcd3()
    files = {"ca_cert": tls.ca, "cert_cert": tls.cert or None, "cert_key": tls.key or None} if tls else {}
    return etcd3.client(
        host=endpoint.host,
        port=endpoint.port,
        timeout=timeout_seconds,
        grpc_options=channel_options(endpoint),
        **files,
    )


def _import_etcd3() -> Any:
    """Import python-etcd3 although its generated messages no longer load.

    Since protobuf 4 they raise TypeError. Their descriptors are still good: they are read out of the
    package's source, without running it, and stand in for `etcd3.etcdrpc` before `etcd3` asks for it.
    """
    if "etcd3" not in sys.modules:
        found = importlib.util.find_spec("etcd3")
        if found is None or not found.submodule_search_locations:
            raise UsageError("python-etcd3 is not installed", then="pip install 'sretool[etcd3]'")
        folder = Path(found.submodule_search_locations[0]) / "etcdrpc"
        try:
            sys.modules[_MESSAGES] = _messages(folder)
        except (OSError, LookupError, SyntaxError) as error:
            raise UsageError(
                f"the messages of python-etcd3 cannot be loaded from {folder}: {error}",
                then="pip install 'sretool[etcd3]', which is the release this works with",
            ) from error
    import etcd3

    return etcd3


def _messages(folder: Path) -> types.ModuleType:
    """Return a module like `etcd3.etcdrpc`, its classes made in a private descriptor pool."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    from google.protobuf.internal import enum_type_wrapper

    module = types.ModuleType(_MESSAGES)
    pool = descriptor_pool.DescriptorPool()
    for name in _FILES:
        file = descriptor_pb2.FileDescriptorProto.FromString(_descriptor(folder / name))
        pool.AddSerializedFile(file.SerializeToString())
        described = pool.FindFileByName(file.name)
        for message, descriptor in described.message_types_by_name.items():
            setattr(module, message, message_factory.GetMessageClass(descriptor))
        for enum, descriptor in described.enum_types_by_name.items():
            setattr(module, enum, enum_type_wrapper.EnumTypeWrapper(descriptor))
            for value in descriptor.values:
                setattr(module, value.name, value.number)
        for service in file.service:
            methods = described.services_by_name[service.name].methods_by_name
            setattr(module, f"{service.name}Stub", _stub(f"/{file.package}.{service.name}", service, methods))
    return module


def _descriptor(path: Path) -> bytes:
    """Return the serialized descriptor that a generated file carries as a literal."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.keyword) and node.arg == "serialized_pb":
            # Generated for Python 2 and 3: _b('...') turns the text into bytes.
            value = node.value.args[0] if isinstance(node.value, ast.Call) else node.value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                return value.value.encode("latin-1")
    raise LookupError(f"{path.name} holds no descriptor")


def _stub(service_path: str, service: Any, methods: Any) -> type:
    """Return a class like gRPC's generated stubs: one callable a method, bound to a channel."""
    from google.protobuf import message_factory

    def bind_all(self: object, channel: Any) -> None:
        for method in service.method:
            answers = message_factory.GetMessageClass(methods[method.name].output_type)
            kind = "_".join(
                "stream" if streams else "unary"
                for streams in (method.client_streaming, method.server_streaming)
            )
            bind: Callable[..., Any] = getattr(channel, kind)
            bound = bind(
                f"{service_path}/{method.name}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=answers.FromString,
            )
            setattr(self, method.name, bound)

    return type(f"{service.name}Stub", (), {"__init__": bind_all})
