"""The nouns. Importing this package registers every table."""

from collections.abc import Mapping

from sqlmodel import SQLModel

# Set before any table is defined: Alembic can only alter constraints that have a name.
SQLModel.metadata.naming_convention = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

from guardpanel.models import (  # noqa: E402
    address_list,
    body_reading,
    certificate,
    client_ca,
    custom_rule,
    policy,
    rule_exclusion,
    rule_override,
    traffic,
    virtual_host,
)
from guardpanel.models.acme import AcmeAccount, AcmeKey, AcmeOrder, AcmePlan, AcmeStep  # noqa: E402
from guardpanel.models.address_list import AddressList  # noqa: E402
from guardpanel.models.address_list_content import AddressListContent  # noqa: E402
from guardpanel.models.ban import Ban  # noqa: E402
from guardpanel.models.body_reading import BodyReading  # noqa: E402
from guardpanel.models.certificate import Certificate  # noqa: E402
from guardpanel.models.certificate_content import CertificateContent  # noqa: E402
from guardpanel.models.client_ca import ClientCa  # noqa: E402
from guardpanel.models.custom_rule import CustomRule  # noqa: E402
from guardpanel.models.hostname import Hostname  # noqa: E402
from guardpanel.models.noun import Noun  # noqa: E402
from guardpanel.models.policy import Policy  # noqa: E402
from guardpanel.models.revision import Deployment, Revision  # noqa: E402
from guardpanel.models.rule_exclusion import RuleExclusion  # noqa: E402
from guardpanel.models.rule_override import RuleOverride  # noqa: E402
from guardpanel.models.server import Server  # noqa: E402
from guardpanel.models.traffic import Traffic  # noqa: E402
from guardpanel.models.user import AccessToken, Installation, Session, User  # noqa: E402
from guardpanel.models.virtual_host import VirtualHost  # noqa: E402

NOUNS: Mapping[str, Noun] = {
    noun.key: noun
    for noun in (
        certificate.NOUN,
        traffic.NOUN,
        policy.NOUN,
        client_ca.NOUN,
        virtual_host.NOUN,
        rule_override.NOUN,
        rule_exclusion.NOUN,
        custom_rule.NOUN,
        body_reading.NOUN,
        address_list.NOUN,
    )
}
"The nouns by key, in display order, which is also an order in which their rows can be inserted."

__all__ = [
    "NOUNS",
    "AccessToken",
    "AcmeAccount",
    "AcmeKey",
    "AcmeOrder",
    "AcmePlan",
    "AcmeStep",
    "AddressList",
    "AddressListContent",
    "Ban",
    "BodyReading",
    "Certificate",
    "CertificateContent",
    "ClientCa",
    "CustomRule",
    "Deployment",
    "Hostname",
    "Installation",
    "Policy",
    "Revision",
    "RuleExclusion",
    "RuleOverride",
    "Server",
    "Session",
    "Traffic",
    "User",
    "VirtualHost",
]
