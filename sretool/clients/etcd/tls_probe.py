"""Names the cause of a failed TLS connection, which gRPC tells as one opaque text for six causes."""

import ssl

import msgspec

from sretool.clients.etcd.certificates import Validity, file_validity, validity_of
from sretool.clients.etcd.endpoint import Endpoint, TlsFiles, read_pem
from sretool.clients.etcd.handshake import Handshake, Reached, shake_hands, trusting_context
from sretool.clock import SystemClock

# X509_V_ERR_* of OpenSSL, as SSLCertVerificationError.verify_code tells them.
_NOT_YET_VALID, _EXPIRED = 9, 10
_UNKNOWN_CA = frozenset({2, 7, 18, 19, 20, 21, 90})
_WRONG_NAME = frozenset({62, 64})

_ASK_PEER = b"GET /members HTTP/1.0\r\n\r\n"  # only a port for peers answers 200
_ALERT_SECONDS = 0.3  # for the server to say why it closed the connection

# OpenSSL's words for a key that is another's; the last two where that is of another kind (RSA, EC).
_NO_PAIR = frozenset({"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"})

_CHECK_CLOCKS = "compare this machine's clock with the server's, then issue a new certificate"


class _EncryptedKeyError(Exception):
    """OpenSSL wants a passphrase."""


class TlsFault(msgspec.Struct, frozen=True):
    """What is wrong, as a clause that ends a sentence, and what the person does next."""

    cause: str
    then: str = ""


def find_foreigner(endpoint: Endpoint, tls: TlsFiles | None, *, timeout_seconds: float) -> str:
    """Return, as a clause, that what answers at `endpoint` is another server, or a port for peers; empty if not."""
    context = _context(tls or TlsFiles(ca="")) if endpoint.is_tls else None
    if isinstance(context, TlsFault):
        return ""
    seen = shake_hands(endpoint, context, timeout_seconds=timeout_seconds / 2)
    if seen.reached is Reached.CLOSED:  # before etcd 3.6 a port for peers hangs up on HTTP/2
        seen = shake_hands(endpoint, context, timeout_seconds=timeout_seconds / 2, opening=_ASK_PEER)
        return f"{endpoint.target} is etcd's port for peers" if seen.answer.endswith(b" 200") else ""
    return seen.reason if seen.reached is Reached.FOREIGN else ""


def find_tls_fault(endpoint: Endpoint, tls: TlsFiles | None, *, timeout_seconds: float) -> TlsFault | None:
    """Return what is wrong with TLS to `endpoint`, None when it is not TLS, within `timeout_seconds`."""
    if not endpoint.is_tls:
        return _plain_fault(endpoint, timeout_seconds=timeout_seconds)
    context = _context(tls or TlsFiles(ca=""))
    if isinstance(context, TlsFault):
        return context
    seen = shake_hands(endpoint, context, timeout_seconds=timeout_seconds)
    if seen.reached is Reached.CLOSED and seen.certificate:
        seen = shake_hands(endpoint, context, timeout_seconds=_ALERT_SECONDS, opening=b"")
    if seen.reached is not Reached.BROKEN or seen.error is None:
        return None
    if isinstance(seen.error, ssl.SSLCertVerificationError):
        return _server_fault(endpoint, seen.error, tls, timeout_seconds=timeout_seconds)
    return _handshake_fault(endpoint, seen, tls or TlsFiles(ca=""))


def _plain_fault(endpoint: Endpoint, *, timeout_seconds: float) -> TlsFault | None:
    seen = shake_hands(endpoint, trusting_context(), timeout_seconds=timeout_seconds)
    refused_in_tls = "ALERT" in str(seen.error.reason) if seen.error else False
    if seen.certificate or refused_in_tls:
        url = endpoint.url.replace("http://", "https://", 1)
        return TlsFault("the server speaks TLS and the URL says http://", then=f"use {url}")
    return None


def _context(tls: TlsFiles) -> ssl.SSLContext | TlsFault:
    for path in filter(None, (tls.ca, tls.cert, tls.key)):
        try:
            read_pem(path)
        except OSError as error:
            return TlsFault(f"{path} cannot be read: {error.strerror}")
    try:
        context = ssl.create_default_context(cafile=tls.ca or None)
    except ssl.SSLError:
        return TlsFault(f"the CA file {tls.ca} holds no certificate in PEM form")
    if bool(tls.cert) != bool(tls.key):
        return TlsFault("a client certificate needs its key: only one of the two is given")
    try:
        if tls.cert:
            context.load_cert_chain(tls.cert, tls.key, password=_no_password)
    except _EncryptedKeyError:
        return TlsFault(f"the key {tls.key} is encrypted", then="give a key file without a passphrase")
    except ssl.SSLError as error:
        return _pair_fault(tls, error)
    return context


def _no_password() -> str:
    """Stand in for OpenSSL's own question on the terminal."""
    raise _EncryptedKeyError


def _pair_fault(tls: TlsFiles, error: ssl.SSLError) -> TlsFault:
    if error.reason in _NO_PAIR:
        return TlsFault(f"the key {tls.key} does not belong to the client certificate {tls.cert}")
    if file_validity(tls.cert) is None:
        return TlsFault(f"the client certificate {tls.cert} holds no certificate in PEM form")
    return TlsFault(f"the key {tls.key} cannot be used: {error.reason or 'it is no private key in PEM form'}")


def _server_fault(
    endpoint: Endpoint, error: ssl.SSLCertVerificationError, tls: TlsFiles | None, *, timeout_seconds: float
) -> TlsFault:
    """Explain why we do not accept the server's certificate."""
    code = error.verify_code
    if code in _WRONG_NAME:
        return TlsFault(
            f"the server's certificate is not valid for {endpoint.certificate_name}",
            then="give the name it carries as server_name, or the address it was issued for",
        )
    if code in _UNKNOWN_CA:
        source = tls.ca if tls and tls.ca else "this machine's list of authorities"
        return TlsFault(f"the server's certificate is signed by a CA that is not in {source}")
    if code in {_EXPIRED, _NOT_YET_VALID}:
        seen = shake_hands(endpoint, trusting_context(), timeout_seconds=timeout_seconds)
        fault = _dates_fault("the server's certificate", validity_of(seen.certificate))
        return fault or TlsFault(f"a CA in {tls.ca if tls else 'use'} has expired or is not yet valid")
    return TlsFault(f"the server's certificate is not accepted: {error.verify_message}")


def _handshake_fault(endpoint: Endpoint, seen: Handshake, tls: TlsFiles) -> TlsFault | None:
    """Explain what the server said to our half of the handshake."""
    reason = str(seen.error.reason or "") if seen.error else ""
    if reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"}:
        url = endpoint.url.replace("https://", "http://", 1)
        return TlsFault("the server speaks no TLS and the URL says https://", then=f"use {url}")
    if "ALERT" not in reason:
        return TlsFault(f"the TLS handshake fails: {reason or seen.error}")
    if not tls.cert:
        return TlsFault("the server wants a client certificate and none is given")
    dated = _dates_fault(f"the client certificate {tls.cert}", file_validity(tls.cert))
    if dated:
        return dated
    if "EXPIRED" in reason:
        return TlsFault(
            f"the server says that the client certificate {tls.cert} is not valid now", then=_CHECK_CLOCKS
        )
    if "UNKNOWN_CA" in reason:
        return TlsFault(f"the server does not know the CA that signed the client certificate {tls.cert}")
    return TlsFault(
        f"the server does not accept the client certificate {tls.cert} ({reason.lower()})",
        then="it must be signed by the CA in etcd's --trusted-ca-file and allow client authentication",
    )


def _dates_fault(what: str, validity: Validity | None) -> TlsFault | None:
    if validity is None:
        return None
    now = SystemClock().now()  # OpenSSL itself compares with this machine's clock
    if now > validity.ends:
        return TlsFault(f"{what} expired on {validity.ends:%Y-%m-%d %H:%M} UTC", then=_CHECK_CLOCKS)
    if now < validity.begins:
        return TlsFault(f"{what} is valid only from {validity.begins:%Y-%m-%d %H:%M} UTC", then=_CHECK_CLOCKS)
    return None
