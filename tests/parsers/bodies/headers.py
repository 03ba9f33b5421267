"""Headers of forms in parts and of their parts: ordinary ones first, then those that parsers read in several ways."""

BOUNDARIES = (
    "BOUND",
    "----WebKitFormBoundary7MA4YWxk",
    "--",
    "a",
    "b'c",
    "x(1)+_,-./:=?y",
    "with space",
    "z" * 70,
    "0",
    "q;r",
)

TYPES = (
    "multipart/form-data; boundary={b}", "multipart/form-data; boundary={b}", "multipart/form-data; boundary={b}",
    "multipart/form-data; boundary={b}", "multipart/form-data; boundary={b}", "multipart/form-data;boundary={b}",
    'multipart/form-data; boundary="{b}"', "Multipart/Form-Data; Boundary={b}", "multipart/form-data; charset=utf-8; boundary={b}",
    "multipart/form-data; boundary={b}; charset=utf-8", "multipart/form-data; boundary={b};", "multipart/form-data; boundary= {b}",
    "multipart/form-data; boundary ={b}", "multipart/form-data, boundary={b}", "multipart/form-data boundary={b}",
    "multipart/form-data; boundary={b}; boundary=other", "multipart/form-data; boundary=other; boundary={b}",
    "multipart/form-data; xboundary={b}; boundary=other", "multipart/form-data; xboundary=other; boundary={b}",
    "multipart/form-data; boundary={b}, x", "multipart/form-data; boundary={b} x", "multipart/form-data; boundary='{b}'",
    'multipart/form-data; boundary="{b}', 'multipart/form-data; boundary={b}"', 'multipart/form-data; boundary="{b}"x',
    "multipart/form-data; boundary*=utf-8''{b}", "multipart/form-data; boundary*0={b}", "multipart/form-data; boundary*0=BO; boundary*1=UND",
    "multipart/form-data; boundary=other; boundary*=utf-8''{b}", "multipart/form-data\t;\tboundary={b}",
    "multipart/form-data; x=\"; boundary=other\"; boundary={b}", "multipart/form-data; x=\"a\\\"; boundary={b}; y=\"; boundary=other",
    "multipart/form-data; boundary={b}; x=\"", "multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed; boundary={b}",
    "multipart/related; boundary={b}", "multipart/x; boundary={b}", "multipart/form-datax; boundary={b}", " multipart/form-data; boundary={b}",
    "multipart/form-data; charset=utf-7; boundary={b}", "multipart/form-data; charset=utf-16; boundary={b}", "multipart/form-data; boundary=B\\OUND",
    "multipart/form-data;; boundary={b}", "multipart/form-data; =; boundary={b}", "multipart/form-data; a; boundary={b}",
    "multipart/form-data; boundary={b}\xa0", "text/plain, multipart/form-data; boundary={b}", "multipart/form-data(x); boundary={b}",
    "application/x-www-form-urlencoded, multipart/form-data; boundary={b}",
)  # fmt: skip
"""The first is most forms'. Each is one that some parser takes for a form, or that looks so."""

DISPOSITIONS = (
    'form-data; name={n}', 'form-data; name="{r}"', "form-data; name='{r}'", 'form-data;name={n}', 'form-data; name = {n}', 'form-data; name\t={n}',
    'FORM-DATA; NAME={n}', 'form-data; name={n}; filename*=UTF-8\'\'a.txt', 'form-data; name={n}; filename ="a"', 'form-data; name={n}; filename\t="a"',
    "form-data; name={n}; filename='a'", "form-data; name={n}; filename=a", 'form-data; name={n}; filename=""', 'form-data; name={n}; filename',
    'form-data; name={n}; filename=', 'form-data; name={n}; filename*0=a', 'form-data; name={n}; filename*0*=UTF-8\'\'a', 'form-data; name={n}; filename*=a',
    'form-data; name={n}; filename*=UTF-8\'\'', 'form-data; name={n}; filename*="UTF-8\'\'a"', 'form-data; name={n}; xfilename="a"', 'form-data; name={n}; x="; filename=a"',
    'form-data; name={n}; x="\\"; filename="a"', "form-data; name={n}; x='; filename=\"a\"'", 'form-data; filename="a"; name={n}', 'form-data; name="x"; name={n}',
    'form-data; name={n}; name="x"', 'form-data; name*=UTF-8\'\'{r}', 'form-data; name="x"; name*=UTF-8\'\'{r}', 'form-data; name*0={n}', 'form-data; name*0=q; name*1=r',
    'attachment; name={n}', 'file; name={n}', 'name={n}', '; name={n}', 'form-data, name={n}', 'form-data name={n}', 'form-data; x; name={n}', 'form-data;; name={n}',
    'form-data; =; name={n}', 'form-data; name={n}x', 'form-data; name="{r}', 'form-data; name={r}"', 'form-data; name={n};', 'form-data; x=y=z; name={n}',
    'form-data; name={n}; filename="a', 'form-data; name={n}; filename=a"', 'form-data; name={n}; filename="a"; filename=""', 'form-data; name={n}; filename=""; filename="a"',
    'form-data; name={n}; filename="{v}.txt"', "form-data; name={n}; filename={v}.txt", "form-data; name={n}; filename*=UTF-8''{v}.txt", 'form-data; name={n}; filename="a"; filename*=UTF-8\'\'{v}',
    'form-data; name={n}; filename="{v}\\"w.txt"', 'form-data; name={n}; filename="C:\\{v}\\x.txt"', 'form-data; name={n}; filename="../{v}/x.txt"', 'form-data; name={n}; filename="a;{v}"',
    'form-data; name={n}; FileName="a"', 'form-data; name={n}; filename="a" ; x', 'form-data; name={n} ; filename="a"', 'form-data; name={n}; file name="a"', 'form-data; name={n}; "filename"="a"',
    'form-data; name={n}\r\n ; filename="a"', 'form-data;\r\n name={n}', 'form-data; name={n}; filename\r\n ="a"', 'form-data\r\n\t; name={n}', 'form-data; na\r\n me={n}', 'form-data; name={n}\n',
    'form-data; name=\\"{r}\\"', 'form-data; name="{r}\\', 'form-data; name="{r}\\""', 'form-data; name="a\\"; filename=\\"b"', '"form-data"; name={n}', 'form-data; name="{r}%22; filename=%22a"',
    'form-data; size=3; name={n}', 'form-data; name={n}; filename={n}', 'form-data; filename=a', 'form-data; filename=""', 'form-data', '', 'form-data; name', 'form-data; name=', 'form-data; name=""',
)  # fmt: skip

OTHER_HEADERS = (
    "Content-Type: text/plain", "Content-Type: text/plain; charset=utf-16", "Content-Type: text/plain; charset=utf-7", "Content-Type: text/plain; charset=ibm037",
    "Content-Type: application/octet-stream", "Content-Type: application/json", "Content-Type: text/xml", "Content-Type: multipart/mixed; boundary=inner",
    "Content-Transfer-Encoding: 7bit", "Content-Transfer-Encoding: 8bit", "Content-Length: 3", "X: y", "X:", ": y", "X", " folded: x", "\tfolded", "Content-Disposition",
    "Content-Disposition : form-data; name=\"x\"", "Content-Disposition: form-data; name=\"x\"", "Content-Disposition: form-data; name=\"x\"; filename=\"a\"",
    "content-disposition:form-data;name=y", "Content-Disposition\t: x", "X: " + "y" * 9000, "Content-Type: image/png", "\x00X: y", "X\x00: y", "X: a\x00b", "X: \xff",
    "Content-Encoding: gzip", "Content-ID: <a>", "Content-Type:", "Content-Type", "MIME-Version: 1.0",
)  # fmt: skip
