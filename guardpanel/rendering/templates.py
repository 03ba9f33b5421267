"""The strict Jinja environment over `config_templates/`."""

from functools import cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from guardpanel.rendering import tokens
from guardpanel.shipped import config_templates


@cache
def template(name: str) -> Template:
    # Configuration is not HTML: `only_tokens` decides what may be printed, not escaping.
    environment = Environment(
        loader=FileSystemLoader(config_templates()),
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
        seconds_left=tokens.seconds_left,
        of_client=tokens.of_client,
        with_variables=tokens.with_variables,
        content_types=tokens.content_types,
    )
    environment.globals["origin"] = tokens.origin_mark
    return environment.get_template(name)
