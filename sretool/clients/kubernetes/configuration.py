"""Opens the kubernetes package's client from a kubeconfig or a pod's service account: with the first call."""

import warnings
from pathlib import Path
from typing import Any

from kubernetes.client.api_client import ApiClient
from kubernetes.client.configuration import Configuration
from kubernetes.config.incluster_config import load_incluster_config
from kubernetes.config.kube_config import FileOrData, KubeConfigLoader, KubeConfigMerger
from urllib3.exceptions import InsecureRequestWarning

from sretool.clients.kubernetes.exec_plugin import run_plugin
from sretool.clients.kubernetes.request import IN_CLUSTER
from sretool.errors import RemoteError, UnreachableError

_SOCKETS = 32  # kept open: more than a run has threads, or the rest would be closed after each request


class _Loader(KubeConfigLoader):  # type: ignore[misc]  # the package's types are not followed
    """The package's loader, except for exec plugins: those it runs without a limit, and only logs their errors."""

    def _load_from_exec_plugin(self) -> bool:
        if "exec" not in self._user:
            return False
        folder = self._get_base_path(self._cluster.path)
        credential = run_plugin(self._user["exec"].value, cluster=self._cluster.value, folder=folder)
        if credential.token:
            self.token = f"Bearer {credential.token}"
        if credential.certificate:
            self.cert_file, self.key_file = _as_file(credential.certificate), _as_file(credential.key)
        if credential.expires:
            self.expiry = credential.expires
        return True


def open_client(kubeconfig: str, context: str) -> Any:
    """Return a client that sends every request exactly once; UnreachableError when the kubeconfig is no use."""
    configuration = Configuration()
    try:
        if kubeconfig == IN_CLUSTER:
            load_incluster_config(client_configuration=configuration)
        else:
            _load(kubeconfig, context, configuration)
    except RemoteError:
        raise
    except Exception as error:  # whatever the package trips over in somebody's file
        where = "the pod's service account" if kubeconfig == IN_CLUSTER else f"the kubeconfig {kubeconfig}"
        why = " ".join(str(getattr(error, "strerror", None) or error or type(error).__name__).split())
        raise UnreachableError(
            f"{where} cannot be used: {why}",
            then="compare it with `kubectl config view`",
        ) from error
    configuration.retries = False  # urllib3's default would send a DELETE up to four times
    configuration.keep_alive = True
    configuration.connection_pool_maxsize = _SOCKETS
    if not configuration.verify_ssl:  # the kubeconfig says so: urllib3 would repeat it at every request
        warnings.simplefilter("ignore", InsecureRequestWarning)
    client = ApiClient(configuration=configuration)
    client.user_agent = "sretool"
    return client


def _load(kubeconfig: str, context: str, configuration: Configuration) -> None:
    path = Path(kubeconfig)
    if path.exists() and not path.is_file():
        raise OSError("it is no regular file")
    path.open("rb").close()  # the package says of a missing file that there is no configuration
    merged = KubeConfigMerger(kubeconfig).config
    _Loader(merged, active_context=context or None, config_base_path=None).load_and_set(configuration)


def _as_file(content: str) -> str:
    """Return a file of ours alone (0600, removed at exit) with `content`: urllib3 takes certificates as files."""
    return str(FileOrData({"pem": content}, "", data_key_name="pem", base64_file_content=False).as_file())
