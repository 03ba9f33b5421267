"""Each page is looked at for accessibility, or is named with the reason why not."""

from pathlib import Path

from fastapi.routing import iter_route_contexts
from starlette.routing import compile_path

from guardpanel.app import create_app
from guardpanel.settings import Settings
from tests.e2e.pages import BARE, LEFT_OUT, PAGES


def routes() -> list[str]:
    """Of pages and their parts, in the order in which a path is looked for."""
    contexts = iter_route_contexts(create_app(Settings(data_dir=Path("/nowhere"))).routes)
    reading = [str(context.path) for context in contexts if "GET" in (context.methods or ())]
    return [path for path in reading if not path.startswith("/api/")]


def serves(route: str, path: str) -> bool:
    return compile_path(route)[0].match(path.partition("?")[0]) is not None


def test_each_page_is_looked_at_or_named_with_a_reason() -> None:
    every = routes()
    looked_at = {next((route for route in every if serves(route, path)), path) for path in (*PAGES, *BARE)}

    assert looked_at - set(every) == {"/nowhere"}
    assert set(every) - looked_at == LEFT_OUT.keys()


def test_no_page_is_looked_at_twice() -> None:
    assert len(set(PAGES)) == len(PAGES)
