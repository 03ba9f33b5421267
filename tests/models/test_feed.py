"""URLs of feeds: canonical, or refused with what is wrong."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic_core import PydanticCustomError

from guardpanel.models import Feed
from guardpanel.models.access.feed import crowdsec_key, crowdsec_url, feed_url, source_url
from tests.corpus import CORPUS


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("", ""),
        (" https://Lists.Example/drop.txt ", "https://lists.example/drop.txt"),
        ("HTTPS://lists.example", "https://lists.example/"),
        ("https://lists.example:443/a?b=c", "https://lists.example/a?b=c"),
        ("https://lists.example:8443/a%20b", "https://lists.example:8443/a%20b"),
        ("https://[2001:DB8::1]/a", "https://[2001:db8::1]/a"),
        ("https://192.0.2.1/a", "https://192.0.2.1/a"),
        ("file:///srv/lists/drop%20x.txt", "file:///srv/lists/drop%20x.txt"),
    ],
)
def test_urls_are_canonical(typed: str, url: str) -> None:
    assert feed_url(typed) == url
    assert feed_url(url) == url


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("http://lists.example/", "starts with https:// or file:///"),
        ("ftp://lists.example/", "starts with https:// or file:///"),
        ("lists.example/drop.txt", "starts with https:// or file:///"),
        ("javascript:alert(1)", "starts with https:// or file:///"),
        ("https:///drop.txt", "has no hostname"),
        ("https://[2001:db8::1%eth0]/a", "without a zone"),
        ("https://user:secret@lists.example/", "Remove the user name and password"),
        ("https://user@lists.example/", "Remove the user name and password"),
        ("https://lists.example:99999/", "not a URL"),
        ("https://[::1/", "not a URL"),
        ("https://*.example/", "wildcard"),
        ("https://1.2.3/", "not an IP address"),
        ("https://0177.0.0.1/", "not an IP address"),
        ("https://lists.example/#top", "after #"),
        ("https://lists.example/a b", "%20"),
        ("https://lists.example/a\r\nx: y", "invisible character"),
        ("https://lists.example/ä", "%20"),
        ("file://host/etc/passwd", "whole path"),
        ("file:///srv/../etc/passwd", "whole path"),
        ("file:///srv/%2e%2e/etc/passwd", "whole path"),
        ("file:///srv/%00", "whole path"),
        ("file:srv", "whole path"),
    ],
)
def test_what_is_no_such_url_is_refused(typed: str, words: str) -> None:
    with pytest.raises(PydanticCustomError) as refused:
        feed_url(typed)
    assert words in refused.value.message()


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("", ""),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/"),
        ("http://[::1]:8080/", "http://[::1]:8080/"),
        ("http://lapi.example:80/base", "http://lapi.example/base/"),
        ("https://lapi.example:443/", "https://lapi.example/"),
    ],
)
def test_urls_of_crowdsec_are_canonical(typed: str, url: str) -> None:
    assert crowdsec_url(typed) == url
    assert crowdsec_url(url) == url


@pytest.mark.parametrize(
    "typed", ["file:///etc/passwd", "http://127.0.0.1:8080/?startup=true", "http://a:b@127.0.0.1/"]
)
def test_what_is_no_url_of_crowdsec_is_refused(typed: str) -> None:
    with pytest.raises(PydanticCustomError):
        crowdsec_url(typed)


def test_hostile_text_is_no_key() -> None:
    for text in CORPUS:
        try:
            key = crowdsec_key(text)
        except PydanticCustomError:
            continue
        assert key.isascii()
        assert not set(key) & set(" \r\n\t\0")


def test_hostile_text_is_no_url() -> None:
    for text in CORPUS:
        for typed in (text, f"https://lists.example/{text}", f"https://{text}/"):
            try:
                url = source_url(typed)
            except PydanticCustomError:
                continue
            assert not set(url) & set(" \r\n\t\0"), text


def test_a_feed_is_stale_after_three_intervals() -> None:
    now, hour = datetime(2026, 11, 29, 12, tzinfo=UTC), timedelta(hours=1)
    feed = Feed(address_list_id=1, list_created_at=now)
    assert not feed.is_stale(hour, now)
    feed.failures = 1
    assert feed.is_stale(hour, now)
    feed.checked_at = now - 3 * hour
    assert not feed.is_stale(hour, now)
    assert feed.is_stale(hour, now + timedelta(seconds=1))
