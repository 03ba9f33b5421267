"""Bodies that were read past the agent once, each as short as it could be made."""

from tests.parsers.body import Body

FORM = "multipart/form-data; boundary=BOUND"


def part(disposition: str, *headers: str, opening: str = "--BOUND\r\n", end: str = "\r\n--BOUND--\r\n") -> bytes:
    head = "".join(f"{line}\r\n" for line in (f"Content-Disposition: {disposition}", *headers))
    return f"{opening}{head}\r\nzattack{end}".encode("latin-1")


CLOSED = b'--BOUND\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--BOUND--\r\n'
FIELD = 'form-data; name="q"'

CORPUS = {
    "the closing boundary comes first": Body(FORM, b"--BOUND--\r\n" + part(FIELD)),
    "a part after the closing boundary": Body(FORM, CLOSED + part(FIELD)),
    "a line between them": Body(FORM, CLOSED + b"x\r\n" + part(FIELD)),
    "a part without an opening boundary": Body(FORM, part(FIELD, opening="")),
    "a part before the first boundary": Body(FORM, part(FIELD, opening="", end="\r\n") + CLOSED),
    "a header glued to the boundary": Body(FORM, part(FIELD, opening="--BOUND")),
    "a letter after the boundary": Body(FORM, part(FIELD, opening="--BOUNDx\r\n")),
    "a NUL after the boundary": Body(FORM, part(FIELD, opening="--BOUND\0\r\n")),
    "white space after the boundary": Body(FORM, part(FIELD, opening="--BOUND \t\r\n")),
    "a boundary after a part's empty line": Body(FORM, b'--BOUND\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + part(FIELD)),
    "a boundary after a line feed alone": Body(FORM, b'--BOUND\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\n1\n' + part(FIELD)),
    "lines that end with LF": Body(FORM, part(FIELD).replace(b"\r\n", b"\n")),
    "lines that end with LF, and CRLF in a value": Body(FORM, part('form-data; name="a"').replace(b"\r\n", b"\n").replace(b"zattack", b'Content-Disposition: form-data; name="q"\r\n\r\nzattack')),
    "lines that end with CR": Body(FORM, part(FIELD).replace(b"\r\n", b"\r")),
    "CR within a head": Body(FORM, b"--BOUND\rContent-Disposition\r\rzattack\n--BOUND--\r\n"),
    "no closing boundary": Body(FORM, part(FIELD, end="")),
    "filename* alone": Body(FORM, part(FIELD + "; filename*=UTF-8''a.txt")),
    "filename* without a charset": Body(FORM, part(FIELD + "; filename*=''a")),
    "an empty filename*": Body(FORM, part(FIELD + "; filename*=UTF-8''")),
    "filename* in a charset nobody knows": Body(FORM, part(FIELD + "; filename*=zattack''a")),
    "filename =": Body(FORM, part(FIELD + '; filename ="a"')),
    "filename, tab, =": Body(FORM, part(FIELD + '; filename\t="a"')),
    "a file name in single quotes": Body(FORM, part(FIELD + "; filename='a'")),
    "a continued file name": Body(FORM, part(FIELD + "; filename*0=a")),
    "a file name within another value": Body(FORM, part(FIELD + '; x="; filename=a"')),
    "a file name behind an escaped quote": Body(FORM, part(FIELD + '; x="\\"; filename="a"')),
    "a file name on the next line": Body(FORM, part(FIELD + '\r\n ; filename="a"')),
    "an empty file name and another": Body(FORM, part(FIELD + '; filename=""; filename="a"')),
    "a disposition of another kind": Body(FORM, part('attachment; name="q"')),
    "a name without a kind": Body(FORM, part('name="q"')),
    "a second disposition": Body(FORM, part(FIELD, 'Content-Disposition: form-data; name="a"; filename="a"')),
    "a field in base64": Body(FORM, part(FIELD, "Content-Transfer-Encoding: base64").replace(b"zattack", b"emF0dGFjaw==")),
    "an unfinished parameter": Body(FORM, part(FIELD + ";*=r")),
    "two boundaries in the header": Body("multipart/form-data; boundary=other; boundary=BOUND", part(FIELD)),
    "a boundary that is not called so": Body("multipart/form-data; xboundary=BOUND; boundary=other", part(FIELD)),
    "a boundary within another value": Body('multipart/form-data; x="; boundary=BOUND"; boundary=other', part(FIELD)),
    "an extended boundary": Body("multipart/form-data; boundary=other; boundary*=utf-8''BOUND", part(FIELD)),
    "a comma before the boundary": Body("multipart/form-data, boundary=BOUND", part(FIELD)),
    "names by case alone, a form": Body("application/x-www-form-urlencoded", b"q=zattack&Q=1&q=1&Q=zother"),
    "names by case alone, JSON": Body("application/json", b'{"q": "zattack", "Q": "zother"}'),
    "an element's text, a comment in it": Body("text/xml", b"<r>zat<!-- -->tack</r>"),
    "an element's text, CDATA in it": Body("text/xml", b"<r>zat<![CDATA[tack]]></r>"),
    "an element's text, an instruction in it": Body("text/xml", b"<r>zat<?i?>tack</r>"),
    "an element's text, an element in it": Body("text/xml", b"<r>zat<b/>tack</r>"),
    "an entity of the document's own": Body("text/xml", b"<!DOCTYPE r [<!ENTITY e 'zattack'>]><r a='&e;'>&e;</r>"),
    "JSON with a byte order mark": Body("application/json", b'\xef\xbb\xbf{"q": "zattack"}'),
    "JSON in UTF-16": Body("application/json; charset=utf-16", '{"q": "zattack"}'.encode("utf-16")),
    "half a letter of UTF-16": Body("application/json", rb'{"q": "zat\ud800\u0074ack"}'),
    "half a letter of UTF-16, in a name": Body("application/json", rb'{"zat\ud800\u0074ack": "z"}'),
    "a backslash in Shift_JIS": Body("text/xml", b"<?xml version='1.0' encoding='shift_jis'?><r>zat\\tack</r>"),
    "a part without headers": Body(FORM, b"--BOUND\r\n\r\nContent-Disposition: form-data; name=q\r\n" + part('form-data; name="a"')),
    "XML in UTF-16": Body("text/xml", '<?xml version="1.0" encoding="utf-16"?><r>zattack</r>'.encode("utf-16")),
    "XML in EBCDIC": Body("text/xml", '<?xml version="1.0" encoding="IBM037"?><r>zattack</r>'.encode("cp037")),
    "1,001 arguments": Body("application/x-www-form-urlencoded", b"a=1&" * 1_000 + b"q=zattack"),
    "1,001 values of a list": Body("application/json", b'["1",' + b'"1",' * 1_000 + b'"zattack"]'),
}  # fmt: skip
