"""Opens the kubernetes package's client from a kubeconfig or a pod's service account: with the first call."""

import datetime
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from kubernetes.client.api_client import ApiClient
from kubernetes.client.configuration import Configuration
from kubernetes.config.incluster_config import load_incluster_config
from kubernetes.config.kube_config import KubeConfigLoader
from urllib3.exceptions import InsecureRequestWarning
from urllib3.util import make_headers

from sretool.clients.kubernetes.connecting import POOLS
from sretool.clients.kubernetes.exec_plugin import run_plugin
from sretool.clients.kubernetes.kubeconfig import merge, unusable_server, why_unusable
from sretool.clients.kubernetes.request import IN_CLUSTER
from sretool.clients.kubernetes.tls import TlsMaterial, pem_of
from sretool.clock import SystemClock
from sretool.errors import RemoteError, UnreachableError

_AT_ONCE = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)  # a token file is read for every request
_SOCKETS = 32  # kept open: more than a run has threads, or the rest would be closed after each request


class _Loader(KubeConfigLoader):  # type: ignore[misc]  # the package's types are not followed
    """The package's loader, except for what it does without a limit: exec plugins, fetching new tokens.

    And except for keys: it writes them to files in /tmp, which only Python's exit handlers would remove.
    """

    tls = TlsMaterial()
    certificate_ends: datetime.datetime | None = None

    def _load_cluster_info(self) -> None:
        self.host = str(self._cluster["server"]).rstrip("/")
        self.verify_ssl = not self._cluster.safe_get("insecure-skip-tls-verify")
        self.tls_server_name = self._cluster.safe_get("tls-server-name")
        if proxy := self._cluster.safe_get("proxy-url"):  # otherwise the environment's
            self.proxy = proxy
        if self.host.startswith("https"):
            folder = self._get_base_path(self._cluster.path)
            mine = self.tls  # an exec plugin's, which goes before the user's own
            self.tls = TlsMaterial(
                authority=pem_of(self._cluster, "certificate-authority", folder),
                certificate=mine.certificate or pem_of(self._user, "client-certificate", folder),
                key=mine.key or pem_of(self._user, "client-key", folder),
            )

    def _load_user_token(self) -> bool:
        """Take the token as client-go does: of a file, which is replaced now and then, without its line break."""
        path, token = self._user.safe_get("tokenFile"), self._user.safe_get("token")
        if path:
            file = Path(self._get_base_path(self._user.path)) / path
            token = file.read_text(encoding="utf-8").strip()
            self.expiry = _AT_ONCE
        if token:
            self.token = f"Bearer {token}"
        return bool(token)

    def _refresh_oidc(self, provider: Any) -> None:
        """Leave the id-token as it is: a new one ends the refresh token that kubectl has, and may never come."""

    def _refresh_gcp_token(self) -> None:
        """Leave the token as it is, for the same reasons."""

    def _load_from_exec_plugin(self) -> bool:
        if "exec" not in self._user:
            return False
        folder = self._get_base_path(self._cluster.path)
        credential = run_plugin(self._user["exec"].value, cluster=self._cluster.value, folder=folder)
        if credential.token:
            self.token = f"Bearer {credential.token}"
        if credential.certificate and credential.key:
            self.tls = TlsMaterial(certificate=credential.certificate.encode(), key=credential.key.encode())
            self.certificate_ends = credential.expires
        if credential.expires:
            self.expiry = credential.expires
        return True


def open_client(kubeconfig: str, context: str) -> Any:
    """Return a client that sends every request exactly once; UnreachableError when the kubeconfig is no use."""
    configuration, ends = Configuration(), None
    try:
        if kubeconfig == IN_CLUSTER:
            load_incluster_config(client_configuration=configuration)
            tls = TlsMaterial(authority=Path(configuration.ssl_ca_cert).read_bytes())
        else:
            loader = _Loader(merge(kubeconfig), active_context=context or None, config_base_path=None)
            loader.load_and_set(configuration)
            tls, ends = loader.tls, loader.certificate_ends
        if problem := unusable_server(configuration.host):
            raise ValueError(problem)
        client = _client(configuration, tls)
    except RemoteError:
        raise
    except Exception as error:  # whatever the package trips over in somebody's file
        where = "the pod's service account" if kubeconfig == IN_CLUSTER else f"the kubeconfig {kubeconfig}"
        raise UnreachableError(
            f"{where} cannot be used: {why_unusable(error)}",
            then="compare it with `kubectl config view`",
        ) from error
    client.certificate_ends = ends
    return client


def is_worn_out(client: Any) -> bool:
    """Tell whether the certificate that an exec plugin gave this client has ended: a new client has a new one.

    The package fetches a new token by itself, a new certificate never.
    """
    ends: datetime.datetime | None = client.certificate_ends
    now = SystemClock().now()
    return ends is not None and (ends if ends.tzinfo else ends.replace(tzinfo=now.tzinfo)) <= now


def _client(configuration: Configuration, tls: TlsMaterial) -> Any:
    configuration.retries = False  # urllib3's default would send a DELETE up to four times
    configuration.keep_alive = True
    configuration.connection_pool_maxsize = _SOCKETS
    if not configuration.verify_ssl:  # the kubeconfig says so: urllib3 would repeat it at every request
        warnings.simplefilter("ignore", InsecureRequestWarning)
    if str(configuration.proxy or "").startswith("socks"):
        raise ValueError("its proxy-url names a SOCKS proxy: http:// only")
    configuration.proxy_headers = _proxy_headers(str(configuration.proxy or ""))
    configuration.ssl_ca_cert = None  # in the context
    client = ApiClient(configuration=configuration)
    client.own_certificate = tls.certificate
    client.tls_context = tls.context(verifies=configuration.verify_ssl)
    client.rest_client.pool_manager.connection_pool_kw["ssl_context"] = client.tls_context
    client.rest_client.pool_manager.pool_classes_by_scheme = POOLS
    client.user_agent = "sretool"
    return client


def _proxy_headers(proxy: str) -> dict[str, str] | None:
    """Return the user and password of a proxy's URL as its header: urllib3 leaves them out."""
    parts = urlsplit(proxy)
    if parts.username is None:
        return None
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return dict(make_headers(proxy_basic_auth=pair))
