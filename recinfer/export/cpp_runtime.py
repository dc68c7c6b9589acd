"""Keeps compiled models from bringing a C++ library of their own, and from asking for what only torch's loader has.

Where a compiler links libstdc++ into what it makes (its shared one is not installed, or it was built to do so), the
compiled model and torch have two of them in one process, with two sets of locales: the model crashes, or ends with
``std::bad_cast``, as soon as it starts. torch's own loader fares no better.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

# Taken by name, the library that every process with torch has goes before the compiler's own. As the linker's `-l`
# has it.
SHARED = ":libstdc++.so.6"
# libstdc++ and LLVM's libc++.
NAMES = (b"libstdc++.so", b"libc++.so")
PIECE = 1 << 24


def calls_back(package: Path) -> bool:
    """Whether compiled code wants an operator run for it by what only torch's own loader brings along.

    Args:
        package: ``.pt2``, with the code that it was compiled from.
    """
    with zipfile.ZipFile(package) as archive:
        sources = [archive.read(name) for name in archive.namelist() if name.endswith(".cpp")]
    return any(b"proxy_executor_call_function(" in source for source in sources)


def shares_runtime(package: Path) -> bool:
    """Whether the library in a package names a shared C++ library, rather than holding one.

    Args:
        package: ``.pt2``, with one library.
    """
    with zipfile.ZipFile(package) as archive:
        (library,) = (name for name in archive.namelist() if name.endswith(".so"))
        with archive.open(library) as source:
            # The names lie at the front, parameters behind them: it is read no further than needed.
            tail = b""
            while piece := source.read(PIECE):
                if any(name in tail + piece for name in NAMES):
                    return True
                tail = piece[-max(map(len, NAMES)) :]
    return False
