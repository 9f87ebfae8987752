"""Exit codes of the command."""

from __future__ import annotations

from typing import Final

EXIT_FAILED_IN_PART: Final = 1
"""Done, but for what the message names."""

EXIT_USER_ERROR: Final = 2
EXIT_DEFECT: Final = 70
"""`EX_SOFTWARE` of sysexits.h."""

EXIT_INTERRUPTED: Final = 130
"""128 and the number of SIGINT, as shells have it."""
