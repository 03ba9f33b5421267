"""Files, and what becomes of them."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from guardpanel.errors import NothingNew, Problem
from guardpanel.rendering import geo
from guardpanel.services.saving.change import SaveRequest, SaveResult
from guardpanel.services.saving.changes import Changes
from guardpanel.services.site_file import plans
from guardpanel.services.site_file.applying import Options, Step
from guardpanel.services.site_file.exporting import export
from guardpanel.services.site_file.plans import Plan
from tests.fakes import FakeEngines
from tests.rule_set import rule_set
from tests.services.saved import saving

ADA = SaveRequest("ada")

SITE = """\
certificates:
- name: Intranet
  source: self_signed
  names: [shop.example]
traffic:
  trusted_networks: [10.0.0.0/8]
  default_certificate: Intranet
geo_data:
  country_url: https://data.example/country.mmdb.gz
policies:
- name: Strict
  enforcement_mode: block
  allowed_http_versions: [1.1, 2]
  rule_overrides:
  - rule: 942100
    reason: |
      Two
      lines
  rule_exclusions:
  - rules: [941100]
    target_name: content
    path: /posts
    virtual_host: shop.example
    ends_on: 2099-12-31
  custom_rules:
  - rule_id: 9000001
    name: Old login
    variables: [ARGS:q]
    operator: contains
    operator_argument: needle
  body_readings:
  - path: /event
    content_types: [text/plain]
    read_as: json
error_pages:
- name: Shop
  site_name: Bücher
virtual_hosts:
- hostnames: [shop.example, "*.shop.example"]
  policy: strict
  certificate: Intranet
  error_page: Shop
  servers:
  - address: 127.0.0.1:3000
  - address: 127.0.0.1:3001
    backup: true
  site_logins:
  - name: ada
    password: correct horse
  path_bindings:
  - path: /login
    policy: Strict
    enforcement_mode: detect_only
  header_rules:
  - header: X-Robots-Tag
    value: noindex
address_lists:
- name: Scanners
  entries: |
    203.0.113.7  # old
    10.0.0.0/8
  applies_to: virtual_hosts
  virtual_hosts: [shop.example]
"""
"With each noun that needs no PEM. It is written as people write."


@contextlib.asynccontextmanager
async def able(template: Path) -> AsyncIterator[Changes]:
    """With engines that can all that is in a file."""
    async with saving(template, no_http3="", proves_by_dns=True, open_files=1_000_000) as changes:
        assert isinstance(changes.engines, FakeEngines)
        changes.engines.agent.known_rules = rule_set()
        folder = Path(changes.renderer.facts.geo_dir)
        folder.mkdir(exist_ok=True)
        for name in (geo.COUNTRIES, geo.NETWORKS):
            (folder / name).write_text("10.0.0.0/8 NO\n")
        yield changes


async def exported(changes: Changes) -> str:
    async with changes.database.read() as session:
        return await export(session)


async def plan(changes: Changes, text: str, **options: bool) -> Plan:
    return await plans.plan(changes, ADA, await plans.document_in(text), Options(**options))


async def apply(changes: Changes, text: str, **options: bool) -> SaveResult[tuple[Step, ...]] | None:
    """None: there was nothing to save."""
    try:
        return await plans.apply(changes, ADA, await plans.document_in(text), Options(**options), "site.yaml")
    except NothingNew:
        return None


async def refusal(changes: Changes, text: str, *, prune: bool = False) -> dict[str, tuple[str, str | None]]:
    """Message and line by place, alike for both. Nothing is changed by either."""
    before = await exported(changes)
    refused: list[dict[str, tuple[str, str | None]]] = []
    for do in (plan, apply):
        try:
            await do(changes, text, prune=prune)
            refused.append({})
        except Problem as problem:
            refused.append({name: (error.message, error.where) for name, error in problem.errors.items()})
    assert refused[0] == refused[1]
    assert await exported(changes) == before
    return refused[0]


def words(steps: tuple[Step, ...]) -> list[str]:
    return [step.change.summary for step in steps]
