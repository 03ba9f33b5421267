"""What a state is made from."""

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
Rows = Mapping[str, Sequence[Row]]
"By table: `virtualhost`, `hostname`, `server`, `policy`, `traffic`."
