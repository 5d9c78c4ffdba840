"""Keys and certificates of one sandbox cluster: made at first start, kept in its state, worth nothing outside."""

import base64
import datetime
import ipaddress
import json
import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SERVICE_RANGE = "198.19.0.0/16"  # 198.18.0.0/15 is set apart for tests (RFC 2544): no network of anyone's
POD_RANGE = "198.18.0.0/16"
_DAYS = 3650


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read, never visible otherwise, not even for a moment."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def cert_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _name(common: str, organization: str = "") -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if organization:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(attributes)


class Authority:
    """A certificate authority, loaded from or created in a directory (`ca.crt`, `ca.key`)."""

    def __init__(self, directory: Path, common_name: str) -> None:
        self.certificate_path = directory / "ca.crt"
        key_path = directory / "ca.key"
        if not (self.certificate_path.is_file() and key_path.is_file()):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            key = new_key()
            certificate = self._sign(_name(common_name), key, _name(common_name), key, authority=True)
            write_private(key_path, key_pem(key))
            self.certificate_path.write_bytes(cert_pem(certificate))
        loaded = serialization.load_pem_private_key(key_path.read_bytes(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        self._key = loaded
        self.certificate = x509.load_pem_x509_certificate(self.certificate_path.read_bytes())

    @staticmethod
    def _sign(
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        issuer: x509.Name,
        issuer_key: ec.EllipticCurvePrivateKey,
        *,
        authority: bool = False,
        names: tuple[str, ...] = (),
        days: int = _DAYS,
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if not authority:
            usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        if names:
            alternatives = [_general_name(name) for name in names]
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        return builder.sign(issuer_key, hashes.SHA256())

    def issue(
        self, common_name: str, *, organization: str = "", names: tuple[str, ...] = (), days: int = _DAYS
    ) -> tuple[bytes, bytes]:
        """A new certificate and its key, both PEM, for servers (`names`) and clients alike."""
        key = new_key()
        subject = _name(common_name, organization)
        issued = self._sign(subject, key, self.certificate.subject, self._key, names=names, days=days)
        return cert_pem(issued), key_pem(key)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def make_cluster_credentials(directory: Path, api_port: int, address: str = "127.0.0.1") -> Path:
    """Everything that the control plane and its clients need below `directory`; the path of the admin kubeconfig.

    `address`: where the API server answers.
    """
    authority = Authority(directory, "sandbox cluster")
    serving, service_account = directory / "apiserver.crt", directory / "service-account.key"
    if not serving.is_file():
        service = str(next(ipaddress.ip_network(SERVICE_RANGE).hosts()))
        names = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost", "127.0.0.1", service)
        certificate, key = authority.issue("kube-apiserver", names=tuple(dict.fromkeys((*names, address))))
        write_private(directory / "apiserver.key", key)
        serving.write_bytes(certificate)
    if not service_account.is_file():
        signing = new_key()
        write_private(service_account, key_pem(signing))
        public = signing.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        (directory / "service-account.pub").write_bytes(public)
    return write_kubeconfig(directory / "kubeconfig", authority, f"https://{address}:{api_port}", "sandbox-admin")


def write_kubeconfig(
    path: Path, authority: Authority, server: str, common_name: str, organization: str = "system:masters"
) -> Path:
    """A kubeconfig for one client; its certificate stays when there is one already, the server may move."""
    user = {}
    if path.is_file():
        user = json.loads(path.read_text())["users"][0]["user"]
    if not user:
        certificate, key = authority.issue(common_name, organization=organization)
        user = {"client-certificate-data": _base64(certificate), "client-key-data": _base64(key)}
    cluster = {
        "server": server,
        "certificate-authority-data": _base64(authority.certificate_path.read_bytes()),
    }
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "sandbox", "cluster": cluster}],
        "users": [{"name": "sandbox", "user": user}],
        "contexts": [{"name": "sandbox", "context": {"cluster": "sandbox", "user": "sandbox"}}],
        "current-context": "sandbox",
    }
    write_private(path, json.dumps(document, indent=1).encode())  # JSON is YAML
    return path


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
