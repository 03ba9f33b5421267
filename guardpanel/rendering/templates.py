"""The strict Jinja environment over `config_templates/`."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from guardpanel.rendering import tokens

PACKAGE = Path(__file__).resolve().parents[1]


def folder() -> Path:
    """`config_templates/`: beside the package in a checkout, inside it in a wheel."""
    inside = PACKAGE / "config_templates"
    return inside if inside.is_dir() else PACKAGE.parent / "config_templates"


@cache
def template(name: str) -> Template:
    # Configuration is not HTML: what may be printed is decided by `only_tokens`, not by escaping.
    environment = Environment(
        loader=FileSystemLoader(folder()),
        undefined=StrictUndefined,
        finalize=tokens.only_tokens,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701
    )
    environment.filters.update(
        literal=tokens.literal,
        number=tokens.number,
        word=tokens.word,
        log_format=tokens.log_format,
        seclang=tokens.seclang,
        content_types=tokens.content_types,
    )
    environment.globals["origin"] = tokens.origin_mark
    return environment.get_template(name)
