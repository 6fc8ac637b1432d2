"""Hermetic homes and environment for every test; what failed at first is told, whatever became of it."""

import os

import pytest

_DROPPED = ("SRETOOL_", "ETCDCTL_", "KUBE")
_QUICK = ("unit", "steps", "typing")
_MOST_RERUNS = 3  # more are no chance


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


def pytest_collection_modifyitems(config, items):
    """Take files that need real servers first: no worker waits at the end for the other's last long one."""
    quick = [config.rootpath / "tests" / name for name in _QUICK]
    items.sort(key=lambda item: any(item.path.is_relative_to(folder) for folder in quick))


def _reruns(config):
    reporter = config.pluginmanager.get_plugin("terminalreporter")  # not in a worker of xdist
    return reporter.stats.get("rerun", []) if reporter else []


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session):
    if len(_reruns(session.config)) > _MOST_RERUNS:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    reruns = _reruns(config)
    if reruns:
        terminalreporter.section("FAILED AT FIRST, AND RUN ONCE MORE")
    for one in reruns:
        terminalreporter.section(one.nodeid, sep="_")
        terminalreporter.write_line(one.longreprtext)
    if len(reruns) > _MOST_RERUNS:
        terminalreporter.write_line(f"{len(reruns)} failed at first: more than {_MOST_RERUNS} fail the suite")
