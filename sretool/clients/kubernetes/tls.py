"""Who we trust and what we show: certificates and keys go from the kubeconfig to OpenSSL, never to a named file."""

import base64
import ssl
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from urllib3.util.ssl_ import create_urllib3_context

# Python 3.13 asks more of a certificate authority than Go does, so kubectl works where it would not
# (kubernetes-client/python#2394: no Authority Key Identifier).
_STRICTER_THAN_GO = ssl.VERIFY_X509_STRICT


class TlsMaterial(msgspec.Struct, frozen=True, kw_only=True):
    """PEM of the authority (empty: the system's), of our certificate and its key (empty: we show none)."""

    authority: bytes = b""
    certificate: bytes = b""
    key: bytes = b""

    def context(self, *, verifies: bool) -> ssl.SSLContext:
        """Return the context for every connection; ValueError says which part is no use."""
        context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED if verifies else ssl.CERT_NONE)
        context.verify_flags &= ~_STRICTER_THAN_GO
        try:
            if self.authority:
                context.load_verify_locations(cadata=self.authority.decode("ascii", errors="ignore"))
            elif verifies:
                context.load_default_certs()
        except (OSError, ValueError) as error:
            raise ValueError(f"its certificate authority is no PEM: {error}") from error
        if self.certificate:
            try:
                _load_pair(context, self.certificate, self.key)
            except OSError as error:
                raise ValueError(f"its client certificate and key are no pair in PEM: {error}") from error
        return context


def pem_of(entry: Any, field: str, folder: str) -> bytes:
    """Return the PEM of a kubeconfig's `field`: its `-data`, or the file it names, relative to `folder`."""
    data, path = entry.safe_get(f"{field}-data"), entry.safe_get(field)
    if data:
        return base64.b64decode(data)
    try:
        return (Path(folder) / path).read_bytes() if path else b""
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error


def _load_pair(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """OpenSSL reads both from files only: from ones without a name, that nothing can leave behind."""
    with tempfile.TemporaryFile() as public, tempfile.TemporaryFile() as private:
        context.load_cert_chain(_as_path(public, certificate), _as_path(private, key or certificate))


def _as_path(file: BinaryIO, content: bytes) -> str:
    file.write(content)
    file.seek(0)
    return f"/dev/fd/{file.fileno()}"
