"""Hermetic homes and environment for every test."""

import os

import pytest

_DROPPED = ("SRETOOL_", "ETCDCTL_", "KUBE")


@pytest.fixture(autouse=True)
def hermetic_home(tmp_path, monkeypatch):
    """No test reads or writes the home of the person who runs it."""
    for variable in list(os.environ):
        if variable.startswith(_DROPPED) or variable.lower().endswith("_proxy"):
            monkeypatch.delenv(variable)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for variable, folder in (("STATE", "state"), ("CONFIG", "config"), ("DATA", "data")):
        monkeypatch.setenv(f"XDG_{variable}_HOME", str(tmp_path / folder))


@pytest.fixture(scope="module")
def base(request, tmp_path_factory):
    """The folder of one module's labs, their cluster files, and what else its tests share."""
    return tmp_path_factory.mktemp(request.module.__name__.rpartition(".test_")[2] or "base")
