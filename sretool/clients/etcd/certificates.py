"""Certificates on disk and on the wire: reading the files, and when a certificate is valid."""

import datetime as dt
import re
import ssl

import msgspec

from sretool.clients.etcd.endpoint import Endpoint, TlsFiles, read_pem
from sretool.clients.etcd.handshake import shake_hands, trusting_context
from sretool.model import Known, Unknown

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_EXPLICIT_VERSION, _GENERALIZED_TIME = 0xA0, 0x18
_SECONDS_A_DAY = 86_400


class Validity(msgspec.Struct, frozen=True):
    """From when until when a certificate is valid."""

    begins: dt.datetime
    ends: dt.datetime


class CertificateDays(msgspec.Struct, frozen=True, kw_only=True):
    """How many days each side's certificate is still valid; negative when it has expired."""

    client: Known[float]
    server: Known[float]


def days_until_expiry(
    endpoint: Endpoint, tls: TlsFiles, *, now: dt.datetime, timeout_seconds: float
) -> CertificateDays:
    """Return how long our certificate and the server's are still valid; neither is verified here."""
    ours = file_validity(tls.cert)
    return CertificateDays(
        client=days_left(ours, now=now, why=f"{tls.cert} cannot be read" if tls.cert else "we show none"),
        server=shown_days(endpoint, now=now, timeout_seconds=timeout_seconds),
    )


def shown_days(endpoint: Endpoint, *, now: dt.datetime, timeout_seconds: float) -> Known[float]:
    """Return for how many days the certificate that the server shows is still valid; it is not verified here."""
    seen = shake_hands(endpoint, trusting_context(), timeout_seconds=timeout_seconds)
    why = f"{endpoint} showed no certificate: {seen.reason}"
    return days_left(validity_of(seen.certificate), now=now, why=why)


def days_left(validity: Validity | None, *, now: dt.datetime, why: str) -> Known[float]:
    """Return the days until `validity` ends; Unknown, with `why`, where there is none."""
    return (validity.ends - now).total_seconds() / _SECONDS_A_DAY if validity else Unknown(why)


def file_validity(path: str) -> Validity | None:
    """Return the validity of the first certificate in a PEM file, None when there is none to be read."""
    try:
        return pem_validity(read_pem(path)) if path else None
    except OSError:
        return None


def pem_validity(pem: bytes) -> Validity | None:
    """Return the validity of the first certificate in a PEM, None when there is none to be read."""
    found = _PEM.search(pem.decode("ascii", errors="replace"))
    try:
        return validity_of(ssl.PEM_cert_to_DER_cert(found.group())) if found else None
    except ValueError:
        return None


def validity_of(der: bytes) -> Validity | None:
    """Return the validity of a DER certificate, None when it is not one.

    The standard library shows these dates only of a certificate that it could verify, and the ones that
    cannot be verified are the ones asked about here.
    """
    try:
        _, at, _ = _element(der, 0)  # Certificate
        _, at, _ = _element(der, at)  # TBSCertificate
        tag, _, end = _element(der, at)
        at = end if tag == _EXPLICIT_VERSION else at
        for _ in ("serial number", "signature algorithm", "issuer"):
            _, _, at = _element(der, at)
        _, at, _ = _element(der, at)  # Validity
        begins, at = _time(der, at)
        ends, _ = _time(der, at)
    except (IndexError, ValueError):
        return None
    return Validity(begins, ends)


def _element(der: bytes, at: int) -> tuple[int, int, int]:
    """Return the tag at `at`, and where its content begins and ends."""
    tag, length, at = der[at], der[at + 1], at + 2
    if length >= 0x80:
        size = length & 0x7F
        length, at = int.from_bytes(der[at : at + size]), at + size
    return tag, at, at + length


def _time(der: bytes, at: int) -> tuple[dt.datetime, int]:
    tag, begin, end = _element(der, at)
    text = der[begin:end].decode("ascii")
    form = "%Y%m%d%H%M%SZ" if tag == _GENERALIZED_TIME else "%y%m%d%H%M%SZ"
    return dt.datetime.strptime(text, form).replace(tzinfo=dt.UTC), end
