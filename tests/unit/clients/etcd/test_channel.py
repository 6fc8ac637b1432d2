"""Loading grpc and protobuf without the parts that nobody uses here: nothing is missing for whoever wants it afterwards."""

import subprocess
import sys

import pytest


def python(script: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    return ended.stdout.strip()


def test_neither_asyncio_nor_messages_in_python_are_loaded_with_grpc() -> None:
    script = """
import sys, sretool.clients.etcd.channel
print([m for m in sys.modules if "asyncio" in m or "aio" in m or "python_message" in m])
"""
    assert python(script) == "[]"


@pytest.mark.parametrize("first", ["sretool.clients.etcd.channel", "asyncio", "grpc.aio"])
def test_a_server_and_a_client_of_grpc_aio_work_afterwards(first: str) -> None:
    script = f"""
import {first}
import sretool.clients.etcd.channel
import asyncio, grpc, grpc.aio

async def main():
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{{port}}") as channel:
        try:
            await channel.unary_unary("/none/none")(b"", timeout=20)
        except grpc.aio.AioRpcError as error:
            print(error.code().name)
    await server.stop(None)

asyncio.run(main())
"""
    assert python(script) == "UNIMPLEMENTED"


def test_whoever_asks_the_stand_in_gets_the_real_module() -> None:
    script = """
import sys
from sretool.clients.etcd.later import Later
sys.modules["asyncio"] = stand_in = Later("asyncio")
from asyncio import events
import asyncio
print(stand_in.Queue is asyncio.Queue, asyncio is not stand_in, events is asyncio.events)
"""
    assert python(script) == "True True True"


@pytest.mark.parametrize("implementation", ["upb", "python"])
def test_messages_of_others_work_afterwards_in_both_implementations(implementation: str) -> None:
    script = f"""
import os
os.environ["PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"] = "{implementation}"
from sretool.clients.etcd.messages import CLASSES
from google.protobuf import text_format, timestamp_pb2
from google.protobuf.internal import api_implementation, python_message
ours = CLASSES["Member"].FromString(CLASSES["Member"](ID=7, name="m1").SerializeToString())
theirs = text_format.Parse("seconds: 3", timestamp_pb2.Timestamp())
print(api_implementation.Type(), ours.ID, ours.name, theirs.seconds, python_message.__file__.endswith("python_message.py"))
"""
    assert python(script) == f"{implementation} 7 m1 3 True"
