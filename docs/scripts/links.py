"""Checks the links to other sites in all pages. Run `python -m docs.scripts.links`; it needs the network."""
from __future__ import annotations

import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from docs.scripts.pages import ROOT, links_of, pages

WAIT_S = 20
BROWSER = {"User-Agent": "Mozilla/5.0 (compatible; link check)"}
NOT_FOR_PROGRAMS = 401, 403, 429
"""Answers of sites that refuse programs. They say nothing about the link."""


def fault_of(address: str) -> str:
    """Why a link is dead, or ""."""
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=BROWSER), timeout=WAIT_S):
            return ""
    except urllib.error.HTTPError as fault:
        return "" if fault.code in NOT_FOR_PROGRAMS else f"{fault.code} {fault.reason}"
    except (OSError, ValueError) as fault:
        return str(fault)


def main() -> int:
    addresses: dict[str, str] = {}
    for path in pages():
        for target in links_of(path.read_text(encoding="utf8")):
            if target.startswith("http"):
                addresses.setdefault(target, str(path.relative_to(ROOT)))
    with ThreadPoolExecutor(8) as pool:
        dead = [f"{addresses[address]}: {address}: {fault}"
                for address, fault in zip(addresses, pool.map(fault_of, addresses)) if fault]
    print("\n".join([*dead, f"{len(addresses)} links to other sites, {len(dead)} dead"]))
    return bool(dead)


if __name__ == "__main__":
    sys.exit(main())
