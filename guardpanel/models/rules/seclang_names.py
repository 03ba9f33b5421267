"""What Coraza calls things: variables with the phase from which they are known, transformations, operators."""

from collections.abc import Mapping

HEADERS, BODY = 1, 2
"Phases: request headers, and request body."

COLLECTIONS: Mapping[str, int] = {
    "ARGS": HEADERS, "ARGS_NAMES": HEADERS, "ARGS_GET": HEADERS, "ARGS_GET_NAMES": HEADERS, "ARGS_POST": BODY,
    "ARGS_POST_NAMES": BODY, "REQUEST_HEADERS": HEADERS, "REQUEST_HEADERS_NAMES": HEADERS, "REQUEST_COOKIES": HEADERS,
    "REQUEST_COOKIES_NAMES": HEADERS, "FILES": BODY, "FILES_NAMES": BODY, "FILES_SIZES": BODY, "MULTIPART_PART_HEADERS": BODY,
    "XML": BODY,
}  # fmt: skip
"One value can be selected of them by name."

SINGLE: Mapping[str, int] = {
    "REQUEST_METHOD": HEADERS, "REQUEST_URI": HEADERS, "REQUEST_URI_RAW": HEADERS, "REQUEST_FILENAME": HEADERS,
    "REQUEST_BASENAME": HEADERS, "REQUEST_LINE": HEADERS, "REQUEST_PROTOCOL": HEADERS, "QUERY_STRING": HEADERS,
    "REMOTE_ADDR": HEADERS, "SERVER_NAME": HEADERS, "ARGS_COMBINED_SIZE": HEADERS, "REQUEST_BODY": BODY,
    "REQUEST_BODY_LENGTH": BODY, "FILES_COMBINED_SIZE": BODY, "REQBODY_ERROR": BODY, "REQBODY_PROCESSOR": BODY,
    "MULTIPART_STRICT_ERROR": BODY,
}  # fmt: skip

VARIABLES: Mapping[str, int] = {**COLLECTIONS, **SINGLE}
"Of requests, from the phase in which they are known."

RESPONSE: Mapping[str, int] = {
    "RESPONSE_STATUS": 3, "RESPONSE_HEADERS": 3, "RESPONSE_HEADERS_NAMES": 3, "RESPONSE_PROTOCOL": 3,
    "RESPONSE_CONTENT_TYPE": 3, "RESPONSE_CONTENT_LENGTH": 3, "RESPONSE_BODY": 4,
}  # fmt: skip
"Of responses: for rules that are written in SecLang."

OF_RULES = {
    "TX", "MATCHED_VAR", "MATCHED_VAR_NAME", "MATCHED_VARS", "MATCHED_VARS_NAMES", "RULE", "UNIQUE_ID", "DURATION",
    "TIME", "TIME_EPOCH", "TIME_DAY", "TIME_HOUR", "TIME_MIN", "TIME_SEC", "TIME_WDAY", "TIME_MON", "TIME_YEAR",
}  # fmt: skip
"What rules leave for one another, and the time: for rules that are written in SecLang."

TRANSFORMATIONS = (
    "base64Decode", "base64DecodeExt", "cmdLine", "compressWhitespace", "cssDecode", "escapeSeqDecode", "hexDecode",
    "htmlEntityDecode", "jsDecode", "length", "lowercase", "md5", "normalizePath", "normalizePathWin", "removeComments",
    "removeCommentsChar", "removeNulls", "removeWhitespace", "replaceComments", "replaceNulls", "sha1", "trim", "trimLeft",
    "trimRight", "uppercase", "urlDecode", "urlDecodeUni", "utf8toUnicode", "base64Encode", "hexEncode", "urlEncode",
)  # fmt: skip

OTHER_OPERATORS = {
    "strmatch", "noMatch", "validateByteRange", "validateUrlEncoding", "validateUtf8Encoding", "validateNid", "restpath",
}  # fmt: skip
"For rules that are written in SecLang, besides those of the builder. None reads a file or asks another host."
