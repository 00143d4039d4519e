"""/api/docs: the operations as one plain page, made from the OpenAPI description; nothing is fetched from elsewhere."""

from collections.abc import Iterator, Mapping
from html import escape

POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
"""The page's Content-Security-Policy."""

_HEAD = """<!doctype html><html lang="en"><meta charset="utf-8"><title>vonad API</title>
<meta name="viewport" content="width=device-width">
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}
h2{margin-top:2rem;text-transform:capitalize}code{font-size:.95em}dt{margin-top:.8rem}dd{margin:.1rem 0 0 1.5rem}
.m{display:inline-block;min-width:4.5rem;font-weight:600}</style>
"""


def page(description: Mapping[str, object]) -> str:
    """The HTML of an OpenAPI description."""
    return _HEAD + "\n".join(_body(description))


def _body(description: Mapping[str, object]) -> Iterator[str]:
    info = _mapping(description.get("info"))
    yield f"<h1>{escape(str(info.get('title')))} {escape(str(info.get('version')))}</h1>"
    yield f"<p>{escape(str(info.get('description', '')))}</p>"
    yield '<p>The whole description, for programs: <a href="openapi.json"><code>/api/openapi.json</code></a></p>'
    group = None
    for path, methods in _mapping(description.get("paths")).items():
        for method, found in _mapping(methods).items():
            operation = _mapping(found)
            tags = operation.get("tags")
            tag = str(tags[0]) if isinstance(tags, list) and tags else "other"
            if tag != group:
                yield f"{'</dl>' if group else ''}<h2>{escape(tag)}</h2><dl>"
                group = tag
            yield f"<dt><code><span class=m>{escape(method.upper())}</span>{escape(path)}</code></dt>"
            yield f"<dd>{escape(str(operation.get('description', '')))}{_parameters(operation)}</dd>"
    yield "</dl></html>"


def _parameters(operation: Mapping[str, object]) -> str:
    found = operation.get("parameters")
    names = [str(_mapping(item).get("name")) for item in found] if isinstance(found, list) else []
    return f"<br>Parameters: {', '.join(f'<code>{escape(name)}</code>' for name in names)}" if names else ""


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
