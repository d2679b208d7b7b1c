"""The tail as one file: its parts in a row, the imports among them left out."""

import ast
import hashlib
from collections import defaultdict
from functools import lru_cache
from pathlib import Path

PARTS = ("which_lines", "one_file", "rotations", "pinning", "door", "following", "service", "command")
NAME = "tocsin_tail.py"
_OURS = "ingest.tail."


@lru_cache(1)
def text() -> str:
    """The whole program: for Python 3.6 or newer, with its standard library alone."""
    plain: set[str] = set()
    taken: defaultdict[str, set[str]] = defaultdict(set)
    bodies: list[str] = []
    caption = ""
    for part in PARTS:
        source = Path(__file__).with_name(f"{part}.py").read_text(encoding="utf-8")
        first, *rest = ast.parse(source).body
        lines = source.splitlines()
        caption = "\n".join(
            lines[: first.end_lineno]
        )  # the last part is the command: its caption is the program's
        for node in [first, *rest]:
            if isinstance(node, ast.Import):
                plain |= {name.name for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                if not str(node.module).startswith(_OURS):
                    taken[str(node.module)] |= {name.name for name in node.names}
            elif node is not first:
                continue
            lines[node.lineno - 1 : node.end_lineno] = [""] * ((node.end_lineno or 0) - node.lineno + 1)
        title = part.replace("_", " ")
        bodies.append(f"# {'-' * 96} {title}\n\n" + "\n".join(lines).strip() + "\n")
    imports = [f"import {name}\n" for name in sorted(plain)]
    imports += [f"from {name} import {', '.join(sorted(names))}\n" for name, names in sorted(taken.items())]
    return f"#!/usr/bin/env python3\n{caption}\n\n{''.join(imports)}\n" + "\n\n".join(bodies)


def digest() -> str:
    """The SHA-256 of the program, which its reader can compare."""
    return hashlib.sha256(text().encode()).hexdigest()
