"""A way to a real API server that can be slow, throttled, failing, or cut in the middle of a write."""

import contextlib
import http.client
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

from sretool.lab import Lab
from tests.support.http_stub import Asked, Reply, serve, write_kubeconfig

_SECONDS = 30.0
_OF_THE_CONNECTION = {"authorization", "host", "connection", "transfer-encoding", "content-length"}


class Gateway:
    """Passes requests on to the lab's API server as its administrator.

    `before` may answer instead of it, and then nothing reaches it; `after` may change what it answered.
    """

    def __init__(self, lab: Lab) -> None:
        self._host, self._port = lab.components[0].address, lab.components[0].port
        self._tls = ssl.create_default_context(cafile=str(lab.tls_dir / "kubernetes-ca.crt"))
        self._tls.load_cert_chain(lab.tls_dir / "kubernetes-admin.crt", lab.tls_dir / "kubernetes-admin.key")
        self.before: Callable[[Asked], Reply | None] = lambda asked: None
        self.after: Callable[[Asked, Reply], Reply] = lambda asked, reply: reply
        self.passed: list[Asked] = []

    def answer(self, asked: Asked) -> Reply:
        instead = self.before(asked)
        if instead is not None:
            return instead
        self.passed.append(asked)
        return self.after(asked, self._ask(asked))

    def writes(self) -> list[str]:
        """Return the paths of the writes that reached the API server, dry runs and reviews of access left out."""
        return [asked.path for asked in self.passed if is_write(asked)]

    def _ask(self, asked: Asked) -> Reply:
        headers = {
            name: value for name, value in asked.headers.items() if name.lower() not in _OF_THE_CONNECTION
        }
        connection = http.client.HTTPSConnection(self._host, self._port, context=self._tls, timeout=_SECONDS)
        with contextlib.closing(connection):
            connection.request(asked.method, asked.path, asked.body or None, headers)
            answer = connection.getresponse()
            kept = {
                name: value for name, value in answer.getheaders() if name.lower() not in _OF_THE_CONNECTION
            }
            return Reply(status=answer.status, body=answer.read(), headers=kept)


def is_write(asked: Asked) -> bool:
    """Tell whether the request would change something."""
    return asked.method != "GET" and "dryRun=All" not in asked.path and "accessreviews" not in asked.path


@contextlib.contextmanager
def gateway(lab: Lab, base: Path, *, name: str) -> Iterator[Gateway]:
    """Yield a gateway, and the cluster `name` beside the lab's own, whose kubeconfig leads through it."""
    through = Gateway(lab)
    with serve(through.answer) as (_, url):
        kubeconfig = write_kubeconfig(base / f"{name}.kubeconfig", url)
        entry = lab.cluster_file.read_text().replace(f"cluster: {lab.name}\n", f"cluster: {name}\n")
        entry = entry.replace(str(lab.kubeconfig), kubeconfig).replace(
            f"context: {lab.name}", "context: there"
        )
        lab.cluster_file.with_name(f"{name}.yaml").write_text(entry)
        yield through
