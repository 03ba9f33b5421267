"""The certificate for TLS handshakes that no other one covers. It is self-signed: HAProxy needs one to listen."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from guardpanel.engines.files import content_of, write_atomically

NAME = "not-configured.invalid"
"A name that cannot exist (RFC 2606 §2): whoever sees it knows that it is no site's."

YEARS = 10


def kept(path: Path) -> bytes:
    """PEM with its key. Made at the first call; made again if the file is lost or unreadable."""
    with suppress(OSError, ValueError, TypeError):
        pem = content_of(path)
        x509.load_pem_x509_certificate(pem)
        load_pem_private_key(pem, None)
        return pem
    pem = made(datetime.now(UTC))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomically(path, pem, 0o600)
    return pem


def made(now: datetime) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365 * YEARS))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM) + private
