"""DNS-01 by a command of the operator's, for DNS servers without dynamic updates.

It is run as `COMMAND add NAME VALUE` and `COMMAND remove NAME VALUE`, without a shell, and ends with 0 when the record is
served or gone.
"""

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress

from guardpanel.acme import redaction
from guardpanel.acme.faults import AuthorityFault, Fault, FaultKind
from guardpanel.acme.network_words import reason
from guardpanel.acme.order import Record

TIMEOUT_SECONDS = 120

LONGEST_OUTPUT, MOST_READ = 1_000, 20_000
"Characters of its end that are shown, and that are searched for secrets."


class Hook:
    """`command`: the program and its first arguments. `what` it is, for sentences."""

    def __init__(
        self, command: Sequence[str], what: str = "The DNS hook", timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        self.command, self.what = command, what
        self.timeout_seconds = timeout_seconds

    def add(self, records: Sequence[Record]) -> None:
        for record in records:
            self._run("add", record)

    def remove(self, records: Sequence[Record]) -> None:
        for record in records:
            self._run("remove", record)

    def lagging(self, records: Sequence[Record]) -> str:  # noqa: ARG002 the command returns when they are visible
        return ""

    def _run(self, deed: str, record: Record) -> None:
        try:
            process = subprocess.Popen(
                [*self.command, deed, record.name, record.value],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise _fault(f"{self.what} can’t be run.", f"{self.command[0]}: {reason(error)}.") from error
        try:
            output, _ = process.communicate(timeout=self.timeout_seconds)
        except subprocess.TimeoutExpired as error:
            with suppress(ProcessLookupError):  # With its children.
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise _fault(f"{self.what} did not end within {self.timeout_seconds:.0f} s.", "") from error
        if process.returncode:
            words = f"{self.what} failed: {deed} ended with {process.returncode}."
            raise _fault(words, self._plain(output.decode(errors="replace").strip()))

    def _plain(self, output: str) -> str:
        """Its end, without secrets that the command has from us. They are cut out first, so that no part of one is left."""
        return redaction.without(output[-MOST_READ:], redaction.secrets_in(words=self.command))[-LONGEST_OUTPUT:]


def _fault(message: str, detail: str) -> AuthorityFault:
    return AuthorityFault(Fault(FaultKind.PROOF, message, detail))
