"""Compiled templates, kept as Python keeps compiled modules: in `__pycache__` beside their source, where that may be written.

Compiling all pages took a quarter of the processor's time of a start. Nothing is kept in the data directory, since what is read
back is code. Where the folder cannot be written, templates are compiled at each start.
"""

import hashlib
import sys
from contextlib import suppress
from pathlib import Path

import jinja2
from jinja2.bccache import Bucket, FileSystemBytecodeCache


class CompiledTemplates(FileSystemBytecodeCache):
    """`code` are the modules with the environment's options and filters: Jinja applies filters to constants when it compiles."""

    def __init__(self, folder: Path, *code: Path) -> None:
        super().__init__(str(folder / "__pycache__"), "%s.jinja")
        self._versions = "\0".join([jinja2.__version__, *(path.read_text() for path in code)])

    def get_source_checksum(self, source: str) -> str:
        return hashlib.sha256(f"{self._versions}\0{source}".encode()).hexdigest()

    def load_bytecode(self, bucket: Bucket) -> None:
        try:
            super().load_bytecode(bucket)
        except Exception:  # noqa: BLE001 whatever a broken file raises: the template is compiled
            bucket.reset()

    def dump_bytecode(self, bucket: Bucket) -> None:
        if sys.dont_write_bytecode:
            return
        with suppress(OSError):
            Path(self.directory).mkdir(exist_ok=True)
            super().dump_bytecode(bucket)
