"""What rules inspect, and how they transform values first, in plain language."""

from collections.abc import Mapping, Sequence

FLAGS: Mapping[str, str] = {
    "ARGUMENTS_LIMIT_REACHED": "there are more arguments than Coraza keeps",
    "MULTIPART_STRICT_ERROR": "the multipart body is malformed",
    "REQBODY_ERROR": "parsing the body failed",
    "URI_PARSE_ERROR": "parsing the URL failed",
}
"Variables that are 1 if something is true, else 0."

PLACES: Mapping[str, tuple[str, str]] = {
    "ARGS": ("parameters", "the parameter"),
    "ARGS_GET": ("query parameters", "the query parameter"),
    "ARGS_POST": ("form fields", "the form field"),
    "ARGS_NAMES": ("names of parameters", "the parameter name"),
    "ARGS_GET_NAMES": ("names of query parameters", "the parameter name"),
    "ARGS_POST_NAMES": ("names of form fields", "the form field name"),
    "ARGS_COMBINED_SIZE": ("the total size of all parameters", ""),
    "ARGUMENTS_LIMIT_REACHED": (FLAGS["ARGUMENTS_LIMIT_REACHED"], ""),
    "FILES": ("names of uploaded files", "the name of the uploaded file in"),
    "FILES_NAMES": ("names of file fields", "the file field name"),
    "FILES_COMBINED_SIZE": ("the total size of uploaded files", ""),
    "MATCHED_VAR": ("the value that matched before", ""),
    "MATCHED_VARS": ("the values that matched before", ""),
    "MULTIPART_PART_HEADERS": ("headers of multipart parts", "the headers of the multipart part"),
    "MULTIPART_STRICT_ERROR": (FLAGS["MULTIPART_STRICT_ERROR"], ""),
    "QUERY_STRING": ("the query string", ""),
    "REMOTE_ADDR": ("the client IP", ""),
    "REQBODY_ERROR": (FLAGS["REQBODY_ERROR"], ""),
    "REQBODY_PROCESSOR": ("how the body is parsed", ""),
    "REQUEST_BASENAME": ("the last part of the path", ""),
    "REQUEST_BODY": ("the whole body", ""),
    "REQUEST_BODY_LENGTH": ("the size of the body", ""),
    "REQUEST_COOKIES": ("cookies", "the cookie"),
    "REQUEST_COOKIES_NAMES": ("names of cookies", "the cookie name"),
    "REQUEST_FILENAME": ("the path", ""),
    "REQUEST_HEADERS": ("headers", "the header"),
    "REQUEST_HEADERS_NAMES": ("names of headers", "the header name"),
    "REQUEST_LINE": ("the request line", ""),
    "REQUEST_METHOD": ("the method", ""),
    "REQUEST_PROTOCOL": ("the HTTP version", ""),
    "REQUEST_URI": ("the path and query string", ""),
    "REQUEST_URI_RAW": ("the URL as it was sent", ""),
    "RESPONSE_BODY": ("the response’s body", ""),
    "RESPONSE_HEADERS": ("the response’s headers", "the response’s header"),
    "RESPONSE_STATUS": ("the response’s status code", ""),
    "TX": ("values that earlier rules set", "the value"),
    "UNIQUE_ID": ("the request ID", ""),
    "URI_PARSE_ERROR": (FLAGS["URI_PARSE_ERROR"], ""),
    "XML": ("text in XML bodies", ""),
}
"What each variable is: as a whole, and one of it by name. Parameters are those of the query and of bodies."

CAPTURED = "the part that the pattern captured"

ATTRIBUTES = "attributes in XML bodies"

CHANGES: Mapping[str, str] = {
    "base64Decode": "decodes base64",
    "cmdLine": "removes characters that shells ignore (quotes, backslashes, carets) and doubled spaces",
    "compressWhitespace": "shortens runs of blanks to 1 space",
    "cssDecode": "decodes CSS escapes",
    "escapeSeqDecode": "decodes backslash escapes",
    "hexEncode": "writes bytes as hexadecimal digits",
    "htmlEntityDecode": "decodes HTML entities",
    "jsDecode": "decodes JavaScript escapes",
    "length": "takes the length of the value",
    "lowercase": "ignores case",
    "normalizePath": "resolves ./ and ../ in paths",
    "normalizePathWin": "resolves ./ and ../ in paths, with backslashes too",
    "removeCommentsChar": "removes comment characters",
    "removeNulls": "removes zero bytes",
    "removeWhitespace": "removes all blanks",
    "replaceComments": "replaces comments by 1 space",
    "sha1": "takes the SHA-1 hash",
    "urlDecode": "decodes percent-encoding",
    "urlDecodeUni": "decodes percent-encoding",
    "utf8toUnicode": "rewrites UTF-8 characters as %u escapes",
}
"What each transformation does."


def place(target: str) -> str:
    """A target in SecLang: `REQUEST_HEADERS:user-agent`."""
    variable, _, key = target.lstrip("&!").partition(":")
    every, by_name = PLACES.get(variable, (f"the variable {variable}", f"the variable {variable}"))
    if variable == "XML":
        return ATTRIBUTES if "@*" in key else every
    if variable == "TX" and key.isdigit():
        return CAPTURED
    if not key:
        return every
    if key.startswith("/") and key.endswith("/"):
        return f"{every} whose name matches {key[1:-1]}"
    return f"{by_name or every} “{key}”"


def looked_at(targets: Sequence[str]) -> list[str]:
    """In the rule's order, without duplicates and exceptions."""
    return list(dict.fromkeys(place(target) for target in targets if not target.startswith("!")))


def left_out(targets: Sequence[str]) -> list[str]:
    """The exceptions in the rule set itself."""
    return list(dict.fromkeys(place(target) for target in targets if target.startswith("!")))


def joined(places: Sequence[str]) -> str:
    """`a, b, and c`"""
    comma = "," if len(places) > 2 else ""
    return f"{', '.join(places[:-1])}{comma} and {places[-1]}" if len(places) > 1 else "".join(places)


def changes(transformations: Sequence[str]) -> list[str]:
    """The transformations of a value before the rule inspects it, in order."""
    return list(dict.fromkeys(CHANGES.get(name, name) for name in transformations if name != "none"))
