"""The README as a package index shows it: links to files of the repository become addresses.

    python -m tools.index_readme https://HOST/OWNER/NAME v1.2.3 > README.index.md

An index has no folder beside the page, so relative links and pictures lead nowhere there.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
_LINK: Final = re.compile(r"(?P<picture>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")


def relative_links(text: str) -> list[str]:
    """The targets of links that are no addresses and no places on the page itself, without what follows `#`."""
    targets = (match["target"] for match in _LINK.finditer(text))
    return [target.partition("#")[0] for target in targets if not _stays(target)]


def with_addresses(text: str, repository: str, version: str) -> str:
    """The page with every relative link led to `repository` at the tag `version`."""

    def led(match: re.Match[str]) -> str:
        target = match["target"]
        if _stays(target):
            return match[0]
        kind = "raw" if match["picture"] else "blob"
        return f"{match['picture']}[{match['text']}]({repository.rstrip('/')}/{kind}/{version}/{target})"

    return _LINK.sub(led, text)


def _stays(target: str) -> bool:
    return target.startswith(("https://", "http://", "mailto:", "#"))


if __name__ == "__main__":
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    sys.stdout.write(with_addresses(page, sys.argv[1], sys.argv[2]))
