"""Runs a kubeconfig's exec plugin for a token or a certificate: within a limit, never at the terminal."""

import contextlib
import datetime
import json
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from sretool.clients.unreadable import UNREADABLE
from sretool.errors import UnreachableError

PLUGIN_SECONDS = 20.0


class Credential(msgspec.Struct, frozen=True, rename="camel"):
    """The `status` of an ExecCredential, the plugin's answer: a token, or a certificate with its key (PEM)."""

    token: str | None = ""
    certificate: str | None = msgspec.field(default="", name="clientCertificateData")
    key: str | None = msgspec.field(default="", name="clientKeyData")
    expires: datetime.datetime | None = msgspec.field(default=None, name="expirationTimestamp")


class _Answer(msgspec.Struct, frozen=True):
    status: Credential


def run_plugin(
    plugin: Mapping[str, Any],
    *,
    cluster: Mapping[str, Any],
    folder: str,
    timeout_seconds: float = PLUGIN_SECONDS,
) -> Credential:
    """Run `plugin`, the `exec` of a kubeconfig that lies in `folder`, and return what it answers.

    UnreachableError, naming the command, when it is missing, fails, asks for a terminal or takes too long.
    """
    command = str(plugin.get("command") or "")
    for field in ("command", "apiVersion"):
        if not plugin.get(field):
            raise _failed(command, f"has no `{field}` there")
    if plugin.get("interactiveMode") == "Always":
        raise _failed(command, "wants to ask at the terminal: log in with it first, or use another context")
    # As client-go does: a path is relative to the kubeconfig, a bare name is looked up in PATH.
    program = str(Path(folder) / command) if "/" in command else command
    environment = os.environ | {one["name"]: one.get("value") or "" for one in plugin.get("env") or ()}
    environment["KUBERNETES_EXEC_INFO"] = json.dumps(_question(plugin, cluster))
    arguments = [program, *(plugin.get("args") or ())]
    try:
        process = subprocess.Popen(  # noqa: S603 - the kubeconfig's own command, as kubectl would run it
            arguments,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # so that its children can be ended with it
        )
    except OSError as error:
        hint = " ".join(str(plugin.get("installHint") or "").split())
        raise _failed(command, f"cannot be run: {error.strerror}", then=hint) from error
    with process:
        try:
            output, complaint = process.communicate(timeout=timeout_seconds)
        except subprocess.TimeoutExpired as error:
            raise _failed(command, f"gave no answer in {timeout_seconds:g} s") from error
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode != 0:
        last = complaint.decode(errors="replace").strip().splitlines()[-1:] or ["it says nothing"]
        raise _failed(command, f"ended with {process.returncode}: {last[0]}")
    return _parse(command, output)


def _question(plugin: Mapping[str, Any], cluster: Mapping[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = {"interactive": False}
    if plugin.get("provideClusterInfo"):
        spec["cluster"] = {**cluster, "config": _plugin_config(cluster)}
    return {"apiVersion": plugin["apiVersion"], "kind": "ExecCredential", "spec": spec}


def _plugin_config(cluster: Mapping[str, Any]) -> Any:
    extensions = cluster.get("extensions") or ()
    named = (one for one in extensions if one["name"] == "client.authentication.k8s.io/exec")
    return next((one["extension"] for one in named), None)


def _parse(command: str, output: bytes) -> Credential:
    try:
        credential = msgspec.json.decode(output, type=_Answer).status
    except UNREADABLE as error:
        raise _failed(command, f"did not answer with an ExecCredential: {error}") from error
    if not credential.token and not (credential.certificate and credential.key):
        raise _failed(command, "answered without a token and without a certificate and its key")
    return credential


def _failed(command: str, why: str, then: str = "") -> UnreachableError:
    return UnreachableError(
        " ".join(f"the kubeconfig's exec plugin {command} {why}".split()),
        then=then or "try the same with `kubectl get --raw /version`",
    )
