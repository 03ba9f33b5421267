"""What a new policy starts with, by the kind of application."""

from guardpanel.models.policies.policy_judging import LARGEST_BODY_KIB
from guardpanel.models.policies.policy_lists import DATA_TYPES, FILE_TYPES, FORM_TYPES, WEBSITE_METHODS

PRESETS: dict[str, dict[str, object]] = {
    "website": {
        "allowed_methods": WEBSITE_METHODS,
        "allowed_content_types": FORM_TYPES + DATA_TYPES,
        "body_limit_kib": 128,
    },
    "rest_api": {
        "allowed_methods": WEBSITE_METHODS,
        "allowed_content_types": [*FORM_TYPES, *DATA_TYPES, "application/*+json", "application/x-ndjson"],
        "body_limit_kib": 256,
    },
    "file_upload": {
        "allowed_methods": WEBSITE_METHODS,
        "allowed_content_types": [*FORM_TYPES, *DATA_TYPES, *FILE_TYPES],
        "body_limit_kib": LARGEST_BODY_KIB,
    },
}
"Starting points for the form: methods, content types and body limit."
