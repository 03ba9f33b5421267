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

from guardpanel.models import error_page, header_rule, path_binding, site_login, traffic, virtual_host
from guardpanel.models.access import address_list, geo_data
from guardpanel.models.access.address_list import AddressList
from guardpanel.models.access.address_list_content import AddressListContent
from guardpanel.models.access.ban import Ban
from guardpanel.models.access.feed import Feed
from guardpanel.models.access.geo_data import GeoData
from guardpanel.models.api_token import ApiToken
from guardpanel.models.certificates import certificate, client_ca
from guardpanel.models.certificates.acme import AcmeAccount, AcmeKey, AcmeOrder, AcmePlan, AcmeStep
from guardpanel.models.certificates.certificate import Certificate
from guardpanel.models.certificates.certificate_content import CertificateContent
from guardpanel.models.certificates.client_ca import ClientCa
from guardpanel.models.certificates.list_download import ListDownload
from guardpanel.models.error_page import ErrorPage
from guardpanel.models.header_rule import HeaderRule
from guardpanel.models.hostname import Hostname
from guardpanel.models.idempotency_key import IdempotencyKey
from guardpanel.models.noun import Noun
from guardpanel.models.path_binding import PathBinding
from guardpanel.models.policies import body_reading, policy
from guardpanel.models.policies.body_reading import BodyReading
from guardpanel.models.policies.policy import Policy
from guardpanel.models.revision import Deployment, Revision
from guardpanel.models.rules import custom_rule, rule_exclusion, rule_override
from guardpanel.models.rules.custom_rule import CustomRule
from guardpanel.models.rules.rule_exclusion import RuleExclusion
from guardpanel.models.rules.rule_override import RuleOverride
from guardpanel.models.server import Server
from guardpanel.models.site_login import SiteLogin
from guardpanel.models.traffic import Traffic
from guardpanel.models.user import AccessToken, Installation, Session, User
from guardpanel.models.virtual_host import VirtualHost

NOUNS: Mapping[str, Noun] = {
    noun.key: noun
    for noun in (
        certificate.NOUN,
        traffic.NOUN,
        policy.NOUN,
        client_ca.NOUN,
        error_page.NOUN,
        virtual_host.NOUN,
        path_binding.NOUN,
        header_rule.NOUN,
        site_login.NOUN,
        rule_override.NOUN,
        rule_exclusion.NOUN,
        custom_rule.NOUN,
        body_reading.NOUN,
        address_list.NOUN,
        geo_data.NOUN,
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
    "ApiToken",
    "Ban",
    "BodyReading",
    "Certificate",
    "CertificateContent",
    "ClientCa",
    "CustomRule",
    "Deployment",
    "ErrorPage",
    "Feed",
    "GeoData",
    "HeaderRule",
    "Hostname",
    "IdempotencyKey",
    "Installation",
    "ListDownload",
    "PathBinding",
    "Policy",
    "Revision",
    "RuleExclusion",
    "RuleOverride",
    "Server",
    "Session",
    "SiteLogin",
    "Traffic",
    "User",
    "VirtualHost",
]
