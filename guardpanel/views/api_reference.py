"""The OpenAPI document as tables: what an operation takes and returns, field by field."""

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from guardpanel import shipped
from guardpanel.models import NOUNS

DEEPEST = 3
"Levels of rows within rows that are listed."

TITLES = {noun.tag: noun.plural for noun in NOUNS.values() if not noun.only_name}

Schema = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """A parameter, or a field of a body: `servers[].address`."""

    name: str
    kind: str
    text: str
    place: str = ""
    is_required: bool = False
    default: str = ""


@dataclass(frozen=True)
class Content:
    media_type: str
    rows: list[Row]
    example: str = ""


@dataclass(frozen=True)
class Answer:
    status: str
    text: str
    content: Content | None


@dataclass(frozen=True)
class Operation:
    id: str
    method: str
    path: str
    text: str
    tag: str
    is_deprecated: bool

    @property
    def sentence(self) -> str:
        """The first one."""
        return self.text.split(". ")[0].removesuffix(".")


@dataclass(frozen=True)
class Group:
    title: str
    text: str
    operations: list[Operation]


def document() -> bytes:
    return shipped.openapi_document().read_bytes()


class Reference:
    """Read for each page: these are looked at rarely, and the document is large."""

    def __init__(self) -> None:
        self.document: Schema = json.loads(document())
        self.operations = {
            operation["operationId"]: Operation(
                operation["operationId"],
                method.upper(),
                path,
                _joined(operation.get("description") or operation["summary"].capitalize()),
                operation["tags"][0],
                operation.get("deprecated", False),
            )
            for path, methods in self.document["paths"].items()
            for method, operation in methods.items()
        }

    def groups(self) -> list[Group]:
        """In the order of the tags, the paths of each by name."""
        operations = sorted(self.operations.values(), key=lambda operation: operation.path)
        return [
            Group(
                TITLES.get(tag["name"], tag["name"].capitalize()),
                tag["description"],
                [operation for operation in operations if operation.tag == tag["name"]],
            )
            for tag in self.document["tags"]
        ]

    def parameters(self, operation: Operation) -> list[Row]:
        return [
            Row(
                parameter["name"],
                self._kind(parameter["schema"]),
                _joined(parameter.get("description") or parameter["schema"].get("description", "")),
                parameter["in"],
                parameter["required"],
                _default(parameter["schema"]),
            )
            for parameter in self._of(operation).get("parameters", ())
        ]

    def body(self, operation: Operation) -> Content | None:
        return self._content(self._of(operation).get("requestBody", {}))

    def answers(self, operation: Operation) -> list[Answer]:
        return [
            Answer(
                status,
                _joined(answer["description"]).replace("Successful Response", "Success."),
                self._content(answer) if status < "4" else None,
            )
            for status, answer in (
                (status, self._resolved(answer)) for status, answer in self._of(operation)["responses"].items()
            )
        ]

    def command(self, operation: Operation) -> str:
        """For a shell."""
        token = ['-H "Authorization: Bearer $TOKEN"'] if self._of(operation)["security"] else []
        words = [" ".join(["curl", *token])]
        if operation.method != "GET":
            words.append(f"-X {operation.method}")
        if content := self.body(operation):
            words.append(f"-H 'Content-Type: {content.media_type}'")
            is_json = content.media_type == "application/json"
            words.append(f"-d {shlex.quote(content.example or '{}')}" if is_json else "--data-binary @FILE")
        return " \\\n  ".join([*words, f'"$PANEL{operation.path}"'])

    def _of(self, operation: Operation) -> Schema:
        part: Schema = self.document["paths"][operation.path][operation.method.lower()]
        return part

    def _content(self, part: Schema) -> Content | None:
        for media_type, content in part.get("content", {}).items():
            schema = self._resolved(content["schema"])
            examples = schema.get("examples", ())
            example = json.dumps(examples[0], indent=2, ensure_ascii=False) if examples else ""
            return Content(media_type, list(self._rows(schema)), example)
        return None

    def _rows(self, schema: Schema, before: str = "", depth: int = 1) -> Iterator[Row]:
        for name, part in schema.get("properties", {}).items():
            whole = self._resolved(part)
            text = _joined(part.get("description") or whole.get("description") or _title(name, part))
            yield Row(
                before + name,
                self._kind(part),
                text,
                is_required=name in schema.get("required", ()),
                default=_default(part),
            )
            if depth < DEEPEST:
                for inner, mark in self._inner(part):
                    yield from self._rows(inner, f"{before}{name}{mark}.", depth + 1)

    def _inner(self, part: Schema) -> Iterator[tuple[Schema, str]]:
        """Of objects, and of lists of them."""
        whole = self._resolved(part)
        for option in map(self._resolved, whole.get("anyOf", [whole])):
            if option.get("type") == "array":
                yield self._resolved(option.get("items", {})), "[]"
            elif "properties" in option:
                yield option, ""

    def _kind(self, schema: Schema) -> str:
        """In words, with its limits."""
        schema = self._resolved(schema)
        if options := schema.get("anyOf"):
            return " or ".join(dict.fromkeys(map(self._kind, options)))
        if "const" in schema or "enum" in schema:
            return ", ".join(map(str, schema.get("enum", [schema.get("const")])))
        if schema.get("type") == "array":
            items = self._resolved(schema.get("items", {}))
            return f"list of {'objects' if items.get('type') == 'object' else self._kind(items)}"
        limits = _range(schema.get("minimum"), schema.get("maximum"))
        most = f"≤ {schema['maxLength']:,} characters" if "maxLength" in schema else ""
        parts = [schema.get("type", "any"), schema.get("format", ""), limits, schema.get("x-unit", ""), most]
        return " ".join(filter(None, parts))

    def _resolved(self, schema: Schema) -> Schema:
        if "$ref" not in schema:
            return schema
        part: Any = self.document
        for name in schema["$ref"].removeprefix("#/").split("/"):
            part = part[name]
        return {**part, **{name: value for name, value in schema.items() if name != "$ref"}}


def _range(least: float | None, most: float | None) -> str:
    if least is not None and most is not None:
        return f"{least:,}–{most:,}"
    return f"≥ {least:,}" if least is not None else f"≤ {most:,}" if most is not None else ""


def _default(schema: Schema) -> str:
    value = schema.get("default", "")
    return "" if value in ("", None) else json.dumps(value, ensure_ascii=False)


def _title(name: str, schema: Schema) -> str:
    """Empty if it is only the name."""
    title: str = schema.get("title", "")
    return "" if title == name.replace("_", " ").title() else title


def _joined(text: str) -> str:
    return " ".join(text.split())
