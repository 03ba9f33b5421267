"""Which of the chains that an authority offers is used (RFC 8555 §7.4.2). Pure."""

from collections.abc import Sequence

from cryptography import x509


def choose_chain(chains: Sequence[str], preferred: str) -> tuple[str, str]:
    """The first one whose root has this name, else the authority's own. With a sentence if none has it."""
    roots = [root_name(chain) for chain in chains] if preferred else []
    for chain, root in zip(chains, roots, strict=False):
        if root.casefold() == preferred.casefold():
            return chain, ""
    if not preferred:
        return chains[0], ""
    offered = ", ".join(dict.fromkeys(filter(None, roots))) or "none with a name"
    return chains[0], f"The authority offers no chain from {preferred}. It offers: {offered}."


def root_name(chain: str) -> str:
    """Common name of the issuer of the last certificate: the root itself is left out of chains."""
    last = x509.load_pem_x509_certificates(chain.encode())[-1]
    names = last.issuer.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""
