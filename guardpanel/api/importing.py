"""An existing haproxy.cfg as a site file, over HTTP."""

from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from guardpanel.api.saves import speaking
from guardpanel.connected import while_connected
from guardpanel.dependencies import Editor
from guardpanel.models.refusing import refuse
from guardpanel.services.importing.importing import Beside, Imported, imported_in_thread

router = APIRouter(prefix="/api/v1/configuration", tags=["configuration"])


def _whole(text: str) -> str:
    """JSON may escape half of a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise refuse("This is not UTF-8.") from None
    return text


Text = Annotated[str, AfterValidator(_whole)]


class ImportIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: Text = Field(description="The haproxy.cfg, up to 2 MiB.")
    files: dict[Text, Text] = Field(
        default_factory=dict, description="Maps and lists by their names, or by what follows the last slash of them."
    )
    environment: dict[Text, Text] = Field(default_factory=dict, description="Environment variables that HAProxy has.")
    hostnames: dict[Text, Text] = Field(
        default_factory=dict, description="For frontends that serve any hostname, by frontend."
    )


class LineOut(BaseModel):
    line: int
    text: str
    kind: Literal["became", "note", "left"] = Field(description="Imported, kept as a note, or not taken.")
    what: str = Field(description="What it became, or why not.")


class ImportedOut(BaseModel):
    message: str
    lines: list[LineOut] = Field(description="Each line that is neither blank nor a comment, once.")
    site: str = Field(description="The site file, as YAML, to plan and apply. Empty: nothing was imported.")

    @classmethod
    def of(cls, imported: Imported) -> "ImportedOut":
        lines = [LineOut(line=each.line, text=each.text, kind=each.kind, what=each.what) for each in imported.outcomes]
        return cls(message=imported.sentence, lines=lines, site=imported.site)


@router.post("/import", name="import_configuration")
async def import_haproxy(request: Request, body: ImportIn, _editor: Editor) -> ImportedOut:
    """Read a haproxy.cfg. Changes nothing. 422 if it is none.

    Ends when the client disconnects."""
    beside = Beside(body.files, body.environment, body.hostnames)
    with speaking({"file": "text"}):
        return ImportedOut.of(await while_connected(request, imported_in_thread(body.text.encode(), beside)))
