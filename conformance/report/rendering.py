"""Templates: Jinja2, with autoescape everywhere but in markdown, and a policy that lets nothing else run on a page."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jinja2

FOLDER = "templates"


def text_of(name: str) -> str:
    """A file of the templates' folder, as it is."""
    return files("conformance.report").joinpath(FOLDER, name).read_text()


@cache
def _environment() -> jinja2.Environment:
    import jinja2  # only where a page is written: the pytest plugin loads this package in every project

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(text_of),
        autoescape=lambda name: name is None or not name.endswith(".md.j2"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
    return environment


def render(template: str, **values: Any) -> str:
    """The template with these values."""
    return _environment().get_template(template).render(**values)


def render_page(template: str, style: str, scripts: tuple[str, ...], **values: Any) -> str:
    """A page with its own style and scripts inside, whose policy forbids all others, and the network."""
    import markupsafe

    css, js = text_of(style), "\n".join(text_of(name) for name in scripts)
    policy = f"default-src 'none'; style-src {_hash(css)}; script-src {_hash(js)}; img-src data:; "
    policy += "base-uri 'none'; form-action 'none'"
    own = {"css": markupsafe.Markup(css), "js": markupsafe.Markup(js)}  # our own files, no one else's
    return render(template, policy=policy, **own, **values)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
