"""JSON adapters: the contract of the React panel, and further fields and endpoints. They read a request into an input type, call
the same service function as the pages, and respond."""

from importlib import import_module

from fastapi import APIRouter, Depends

from guardpanel.api import (
    access,
    auth,
    bans,
    changes,
    comparison,
    configuration,
    drift,
    event_groups,
    events,
    feeds,
    fixes,
    health,
    importing,
    jobs,
    ledger,
    logs,
    orders,
    profiles,
    recorded_requests,
    request_counts,
    request_tests,
    revocation_lists,
    rules,
    runtime,
    streams,
    tokens,
    visitor_rates,
)
from guardpanel.api.parameters import only_known
from guardpanel.models import NOUNS

router = APIRouter(dependencies=[Depends(only_known)])
for part in (
    auth,
    tokens,
    *(import_module(f"{__name__}.{noun.module}") for noun in NOUNS.values()),
    bans,
    access,
    streams,
    changes,
    jobs,
    feeds,
    revocation_lists,
    orders,
    rules,
    ledger,
    event_groups,
    profiles,
    comparison,
    configuration,
    importing,
    logs,
    events,
    fixes,
    recorded_requests,
    request_counts,
    visitor_rates,
    request_tests,
    drift,
    health,
    runtime,
):
    router.include_router(part.router)
