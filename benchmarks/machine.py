"""The machine and the code that a measurement was made with."""
from __future__ import annotations

import ast
import datetime
import platform
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent


def imported_files(file: Path) -> set[Path]:
    """A file of this repository and all files of it that are imported with it. Imports within functions are left out."""
    found, waiting = set(), [file]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        waiting += [path for name in _imported_names(path) for path in _modules(name)]
    return found


def _imported_names(file: Path) -> Iterator[str]:
    waiting: list[ast.AST] = [ast.parse(file.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        for_types = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        if not isinstance(node, ast.FunctionDef) and not for_types:
            waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{each.name}" for each in node.names)


def _modules(name: str) -> Iterator[Path]:
    """Files of a module or package and of its parent packages."""
    parts = name.split(".")
    for length in range(1, len(parts) + 1):
        path = ROOT.joinpath(*parts[:length])
        yield from (each for each in (path.with_suffix(".py"), path / "__init__.py") if each.exists())


def facts() -> dict[str, str]:
    """Date, commit, processor and versions."""
    import torch

    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {"date": datetime.date.today().isoformat(), "commit": commit.stdout.strip(), "processor": processor(),
            "threads": str(torch.get_num_threads()), "GPU": gpu, "python": platform.python_version(),
            "torch": torch.__version__}


def processor() -> str:
    """The processor's name, if the system reports it."""
    information = Path("/proc/cpuinfo")
    names = [line.split(": ", 1)[1] for line in information.read_text().splitlines() if line.startswith("model name")] \
        if information.exists() else []
    return names[0] if names else platform.processor() or platform.machine()
