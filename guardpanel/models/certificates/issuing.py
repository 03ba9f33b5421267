"""What an operator sets of a certificate that an ACME authority issues, and the authorities known by name."""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator
from sqlalchemy import JSON

from guardpanel.models.meta import Choice, described
from guardpanel.models.refusing import refuse
from guardpanel.models.types import Fields, lines, stored, visible

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory"

AUTHORITIES = {
    "Let’s Encrypt": LETS_ENCRYPT,
    "Let’s Encrypt staging": STAGING,
    "ZeroSSL": "https://acme.zerossl.com/v2/DV90",
    "Google Trust Services": "https://dv.acme-v02.api.pki.goog/directory",
}
"Directories by name (RFC 8555 §7.1.1)."


class NewCertificate(Choice):
    """What a virtual host gets with a save."""

    NONE = "none", "None", "It gets one of those that are listed."
    ACME = (
        "acme",
        "From an authority",
        "Ordered once the hostnames are live over HTTP. Redirect and HSTS begin when it is there.",
    )
    LOCAL_CA = "local_ca", "From the local CA", "For intranets. Browsers that trust this panel’s root accept it."
    SELF_SIGNED = "self_signed", "Self-signed", "For trying. Browsers warn about it."
    UPLOAD = "upload", "Upload", "In JSON: certificate and private_key."


class Challenge(Choice):
    HTTP_01 = "http-01", "HTTP-01", "The authority asks each hostname on port 80, and HAProxy answers."
    DNS_01 = (
        "dns-01",
        "DNS-01",
        "A TXT record proves each hostname. Required for wildcards. Needs one of the GUARDPANEL_DNS settings.",
    )


class RevocationReason(Choice):
    """Why a certificate is revoked (RFC 5280 §5.3.1)."""

    SUPERSEDED = "superseded", "Replaced", "Another one with a new key is ordered now, and takes its place."
    KEY_COMPROMISE = (
        "key_compromise",
        "Private key leaked",
        "Another party may have the key. Another one with a new key is ordered now.",
    )
    NO_LONGER_USED = "no_longer_used", "No longer used", "No other one is ordered. Delete it here, too."

    @property
    def code(self) -> int:
        """In a revocation list."""
        return {RevocationReason.KEY_COMPROMISE: 1, RevocationReason.SUPERSEDED: 4, RevocationReason.NO_LONGER_USED: 5}[
            self
        ]


def known_authority(url: str) -> str:
    """`Let’s Encrypt`. Empty for a directory without a name here."""
    return next((name for name, directory in AUTHORITIES.items() if directory == url), "")


def authority_name(url: str) -> str:
    """`Let’s Encrypt`, or the host of another directory."""
    return known_authority(url) or urlsplit(url).netloc


def directory(text: str) -> str:
    """A directory's URL, from it or from an authority's name."""
    text = visible(text.strip())
    plain = _plain(text)
    known = next((url for name, url in AUTHORITIES.items() if _plain(name) == plain), "")
    if known:
        return known
    try:
        parts = urlsplit(text)
        is_address = parts.scheme == "https" and bool(parts.hostname) and (parts.port or 443) > 0
    except ValueError:
        is_address = False
    if not is_address or re.search(r"[\s\"<>\\^`{|}]", text) or "@" in parts.netloc:
        names = ", ".join(AUTHORITIES)
        raise refuse(f"Enter {names}, or the https address of an authority’s directory.")
    return text


def directories(texts: list[str]) -> list[str]:
    urls = [directory(text) for text in texts if text.strip()]
    twice = next((url for index, url in enumerate(urls) if url in urls[:index]), "")
    if twice:
        raise refuse(f"{authority_name(twice)} is listed twice.")
    return urls


def directory_or_none(text: str) -> str:
    return directory(text) if text.strip() else ""


def issuer_name(text: str) -> str:
    return visible(text.strip())


def _plain(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())


def profile_name(text: str) -> str:
    text = text.strip()
    if not re.fullmatch(r"[A-Za-z0-9._-]{0,64}", text):
        raise refuse("A profile’s name has letters, digits, dots, hyphens and underscores.")
    return text


def email_address(text: str) -> str:
    text = visible(text.strip())
    if text and not re.fullmatch(r"[^\s@,;?&%]{1,64}@[^\s@,;?&%]{1,255}", text):
        raise refuse("Enter an email address, for example ops@shop.example.")
    return text


def binding_key(given: str | None) -> str:
    """Base64url, as authorities give it. Padding and the other alphabet are taken, too."""
    text = (given or "").strip().rstrip("=").translate(str.maketrans("+/", "-_"))
    if text and (not re.fullmatch(r"[A-Za-z0-9_-]{16,1000}", text) or len(text) % 4 == 1):
        raise refuse("Paste the key as the authority shows it: letters, digits, - and _.")
    return text


class BindingInput(Fields):
    """An external account. Its key is taken and never shown again."""

    eab_authority: Annotated[str | None, AfterValidator(lambda text: directory_or_none(text or ""))] = described(
        "External account at", "", max_length=500, hint="Which of the authorities it is for. Defaults to the first one."
    )
    eab_key_id: Annotated[str | None, AfterValidator(lambda text: visible((text or "").strip()))] = described(
        "External account key ID", "", max_length=200, hint="Only if the authority requires an external account (EAB)."
    )
    eab_key: Annotated[str | None, AfterValidator(binding_key)] = described(
        "External account key",
        "",
        repr=False,
        max_length=1000,
        hint="It is stored encrypted until the account is registered.",
    )


LONGEST_PEM = 64 * 1024
"Characters of a pasted certificate."


class NewCertificateInput(Fields):
    """A certificate that is saved with a virtual host, for its hostnames. It turns HTTPS on."""

    new_certificate: NewCertificate | None = described("New certificate", NewCertificate.NONE)
    new_authority: Annotated[str | None, AfterValidator(lambda text: directory(text or LETS_ENCRYPT))] = described(
        "Authority", LETS_ENCRYPT, max_length=500, hint="A name, or the https address of an ACME directory."
    )
    certificate: str | None = described(
        "Certificate", "", repr=False, max_length=LONGEST_PEM, hint="PEM, with the intermediates. For an upload."
    )
    private_key: str | None = described(
        "Private key", "", repr=False, max_length=LONGEST_PEM, hint="PEM. For an upload. It is never shown again."
    )
    save_anyway: bool | None = described("Save anyway", default=False, hint="Accept what the warnings say.")


class IssuingColumns(Fields):
    """The fields that form, JSON and table share. They only matter for certificates whose source is ACME."""

    authority: Annotated[str, AfterValidator(directory)] = described(
        "Authority",
        LETS_ENCRYPT,
        max_length=500,
        hint="A name, such as Let’s Encrypt or ZeroSSL, or the https address of an ACME directory.",
    )
    other_authorities: Annotated[list[str], BeforeValidator(lines), AfterValidator(directories)] = described(
        "Other authorities",
        default_factory=list,
        sa_type=JSON,
        max_length=5,
        hint="One per line, in order. The next one is asked when the one before fails or can’t be reached.",
        placeholder="ZeroSSL",
    )
    staging_authority: Annotated[str, AfterValidator(directory_or_none)] = described(
        "Staging authority",
        "",
        max_length=500,
        hint="Tried after failures, before the authority is asked again. Let’s Encrypt’s own is known.",
    )
    preferred_chain: Annotated[str, AfterValidator(issuer_name)] = described(
        "Preferred chain",
        "",
        max_length=100,
        hint="The name of a root, for example ISRG Root X1. Defaults to the authority’s own choice.",
    )
    challenge: Challenge = described("Challenge", Challenge.HTTP_01, sa_type=stored(Challenge))
    profile: Annotated[str, AfterValidator(profile_name)] = described(
        "Profile", "", max_length=64, hint="For example, shortlived. Defaults to the authority’s own."
    )
    contact: Annotated[str, AfterValidator(email_address)] = described(
        "Email address", "", max_length=320, hint="Optional. The authority writes there about the account."
    )
