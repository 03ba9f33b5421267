"""How this machine connects to what a configuration listens on."""

from guardpanel.engines.proxy_lines import certificate_lines

LABEL = "a" * 62


def test_a_line_is_tried_with_a_name_that_gets_it_however_long_its_wildcard_is() -> None:
    rest = ".".join([LABEL] * 4)
    longest = f"{rest[:-8]}.example"
    lines = f"certs/1.pem [ssl-min-ver TLSv1.2] shop.example other.example\ncerts/2.pem *.shop.example\ncerts/3.pem *.{longest}\n"

    names = dict(certificate_lines({"crt-list.txt": lines.encode()}))

    assert (names["certs/1.pem"], names["certs/2.pem"]) == ("shop.example", "guardpanel-probe.shop.example")
    assert names["certs/3.pem"].endswith(f".{longest}") and len(names["certs/3.pem"]) == 253
