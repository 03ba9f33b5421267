"""The documentation of environment variables."""

import os

from guardpanel.settings import Settings


def unknown_variables() -> list[str]:
    """GUARDPANEL_* variables in the environment that are not settings, most likely misspelled."""
    known = {f"GUARDPANEL_{name.upper()}" for name in Settings.model_fields}
    return sorted(
        name
        for name in os.environ
        if name.startswith("GUARDPANEL_") and name not in known and not name.startswith("GUARDPANEL_TEST_")
    )


def described() -> str:
    """Render docs/configuration.md: every variable with its default and description."""
    rows = [
        f"| `GUARDPANEL_{name.upper()}` | {f'`{field.default}`' if str(field.default) else '—'} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join((
        "# Configuration",
        "",
        "guardpanel is configured through environment variables only. All are optional. This page is generated from the settings",
        "(`guardpanel configuration`). guardpanel warns at start about variables that it does not know.",
        "",
        "| Variable | Default | Description |",
        "|---|---|---|",
        *rows,
        "",
    ))  # fmt: skip
