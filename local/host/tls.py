"""The certificate authority of one embedded AWS, and the gateway certificate that carries AWS's names."""

from __future__ import annotations

import datetime as dt
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from local.settings import HOST, Settings

_LIFE = dt.timedelta(days=30)


def names(region: str) -> list[str]:
    """Host names a client may use for the gateway: plain loopback, and through the proxy AWS's own."""
    return [
        "localhost",
        "*.amazonaws.com",
        f"*.{region}.amazonaws.com",
        f"*.{region}.elb.amazonaws.com",
        f"*.lambda-url.{region}.on.aws",
        "*.s3.amazonaws.com",
        f"*.s3.{region}.amazonaws.com",
        f"*.dkr.ecr.{region}.amazonaws.com",
    ]


def make(settings: Settings) -> None:
    """Write a new authority, and a gateway certificate signed by it, into the instance's state folder."""
    now = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=5)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = _name("Lockgate embedded AWS authority")
    authority = (
        _builder(authority_name, authority_name, authority_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    gateway_key = ec.generate_private_key(ec.SECP256R1())
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names(settings.region)]
    alternatives.append(x509.IPAddress(ipaddress.ip_address(HOST)))
    gateway = (
        _builder(_name("Lockgate embedded AWS"), authority_name, gateway_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(gateway_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    settings.ca_bundle.parent.mkdir(parents=True, exist_ok=True)
    settings.ca_bundle.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    settings.certificate.write_bytes(gateway.public_bytes(serialization.Encoding.PEM))
    _write_private(settings.private_key, gateway_key)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, start: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + _LIFE)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write_private(file: Path, key: ec.EllipticCurvePrivateKey) -> None:
    file.touch(mode=0o600)
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
