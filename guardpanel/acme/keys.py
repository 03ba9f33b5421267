"""Keys of accounts and certificates, and what is derived from them."""

from collections.abc import Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from guardpanel.acme.names import is_address
from guardpanel.later import Later

if TYPE_CHECKING:
    import josepy.b64
    import josepy.jwk
    from acme import crypto_util
else:
    josepy, crypto_util = Later("josepy"), Later("acme.crypto_util")


def new_key() -> bytes:
    """A P-256 private key, PEM (PKCS#8)."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def new_rsa_key() -> bytes:
    """A 2,048-bit RSA private key, PEM (PKCS#8)."""
    return rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def account_key(pem: bytes) -> "josepy.jwk.JWK":
    """The key with which requests to authorities are signed."""
    return josepy.jwk.JWKEC(key=serialization.load_pem_private_key(pem, None))


def thumbprint(pem: bytes) -> str:
    """What follows the token in an answer to an HTTP-01 challenge (RFC 8555 §8.1)."""
    return josepy.b64.b64encode(account_key(pem).thumbprint()).decode()


def signing_request(key: bytes, names: Sequence[str]) -> bytes:
    """A certificate signing request for these names and addresses, PEM. Its subject is empty: the names are in its extension."""
    return crypto_util.make_csr(
        key,
        [name for name in names if not is_address(name)] or None,
        ipaddrs=[ip_address(name) for name in names if is_address(name)] or None,
    )


def is_rsa_request(pem: bytes) -> bool:
    """Whether a signing request is for an RSA key."""
    return isinstance(x509.load_pem_x509_csr(pem).public_key(), rsa.RSAPublicKey)


def fingerprint_of(pem: bytes) -> str:
    """SHA-256 of a chain's first certificate, in hexadecimal. Empty for a chain that is empty."""
    return x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256()).hex() if pem else ""


def renewal_id(pem: bytes) -> str:
    """How renewal information and `replaces` name a certificate (RFC 9773 §4.1). Empty without an authority key identifier."""
    leaf = x509.load_pem_x509_certificate(pem)
    try:
        issuer = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except x509.ExtensionNotFound:
        issuer = None
    if not issuer:
        return ""
    serial = leaf.serial_number.to_bytes(leaf.serial_number.bit_length() // 8 + 1, "big")
    return f"{_text(issuer)}.{_text(serial)}"


def _text(data: bytes) -> str:
    return josepy.b64.b64encode(data).decode()
