"""What a page can do, a script can: each action of a page has an operation of the JSON API, or a reason to have none."""

from collections.abc import Iterator
from pathlib import Path

from fastapi.routing import iter_route_contexts

from guardpanel.app import create_app
from guardpanel.models import NOUNS
from guardpanel.settings import Settings
from tests.contracts.operations import DOCUMENT

HOST, POLICY, LIST, CERTIFICATE, CHANGE = (
    "/virtual-hosts/{virtual_host_id}", "/policies/{policy_id}", "/access/lists/{address_list_id}",
    "/certificates/{certificate_id}", "/changes/{change_id}",
)  # fmt: skip

OPERATIONS: dict[str, tuple[str, ...]] = {
    f"{HOST}/servers/{{server_id}}": ("setServerState",),
    f"{HOST}/paths/{{path_binding_id}}/servers": ("setPathServerState",),
    f"{HOST}/trials": ("sendTestRequest",),
    f"{HOST}/profiles": ("applyVirtualHostProfile",),
    f"{HOST}/profiles/remove": ("removeVirtualHostProfile",),
    f"{HOST}/recorded/delete": ("deleteRecordedRequests",),
    f"{POLICY}/test": ("evaluateRequest",),
    f"{POLICY}/custom-rules/new/try": ("evaluateRequest",),
    f"{LIST}/entries": ("addAddressListEntries", "replaceAddressListEntries", "removeAddressListEntry"),
    f"{LIST}/feed/download": ("downloadAddressListFeed",),
    f"{LIST}/feed/accept": ("acceptAddressListFeed",),
    "/access/bans": ("createBan",),
    "/access/countries/{kind}/download": ("downloadGeoData",),
    "/access/countries/{kind}/upload": ("uploadGeoData",),
    "/access/bans/{ban_id}/lift": ("liftBan",),
    "/access/limits/{policy_id}/forgive": ("forgiveClient",),
    "/client-cas/{client_ca_id}/revocation-lists/download": ("downloadRevocationLists",),
    f"{CERTIFICATE}/renew": ("renewCertificate",),
    f"{CERTIFICATE}/contents/{{content_id}}/use": ("useCertificateContent",),
    f"{CERTIFICATE}/orders": ("orderCertificate",),
    f"{CERTIFICATE}/orders/{{order_id}}/cancel": ("cancelCertificateOrder",),
    f"{CERTIFICATE}/account": ("registerAcmeAccountAnew",),
    f"{CERTIFICATE}/revoke": ("revokeCertificate",),
    "/events/{request_id}/fix": ("applyFix",),
    f"{CHANGE}/undo": ("undoChange",),
    f"{CHANGE}/restore": ("restoreChange",),
    f"{CHANGE}/note": ("noteChange",),
    "/system/drift/put-back": ("redeploy",),
    "/system/import": ("importConfiguration",),
    "/system/import/check": ("planConfiguration",),
    "/system/import/apply": ("applyConfiguration",),
    "/system/tokens": ("createToken",),
    "/system/tokens/{token_id}/revoke": ("revokeToken",),
    "/login": ("logIn",),
    "/logout": ("logOut",),
}

A_BACKUP = "It contains every key, and asks a person for the password. Scripts use `guardpanel backup` and `restore`."
A_FORM = "A form that is being typed: it saves nothing, and JSON has no such state."

WITHOUT = {
    "/setup/{token}": "It makes the first account, by a link that only the machine's owner sees. Scripts use `guardpanel user create`.",
    "/theme": "A cookie of a browser.",
    "/system/backup/download": A_BACKUP,
    "/system/backup/upload": A_BACKUP,
    "/system/backup/{token}/restore": A_BACKUP,
    "/system/backup/{token}/discard": A_BACKUP,
    f"{POLICY}/exclusions/new/reach": A_FORM,
    f"{POLICY}/custom-rules/new/{{side}}": A_FORM,
}


def of_nouns() -> Iterator[tuple[str, tuple[str, ...]]]:
    """A form that is compared before it is saved is the plan of a site file."""
    for noun in NOUNS.values():
        name, row = noun.table.__name__, noun.path if noun.only_name else f"{noun.path}/{{{noun.key}_id}}"
        if noun.is_all_shown:
            yield f"{row}/compare", ("planConfiguration",)
        yield row, (f"update{name}",)
        if not noun.only_name:
            yield noun.path, (f"create{name}",)
            yield f"{row}/delete", (f"delete{name}",)


def test_each_action_of_a_page_has_an_operation_or_a_reason_to_have_none() -> None:
    routes = iter_route_contexts(create_app(Settings(data_dir=Path("/nowhere"))).routes)
    writing = [str(route.path_format) for route in routes if set(route.methods or ()) - {"GET", "HEAD"}]
    actions = {path for path in writing if not path.startswith("/api/")}
    operations = {each["operationId"] for methods in DOCUMENT["paths"].values() for each in methods.values()}
    over_json = dict(of_nouns()) | OPERATIONS

    assert actions == over_json.keys() | WITHOUT.keys()
    assert not over_json.keys() & WITHOUT.keys()
    assert {name for names in over_json.values() for name in names} <= operations
