"""Makes the type stubs that are committed from those that `maturin generate-stubs` writes.

    python tools/stubs.py GENERATED.pyi          # writes python/curate/_curate.pyi
    python tools/stubs.py GENERATED.pyi --check  # compares instead, and fails where they differ

The generator does not know the type of NumPy arrays, and names Arrow's capsules as Python 3.13 does.
"""

import difflib
import re
import sys
from pathlib import Path

COMMITTED = Path(__file__).resolve().parents[1] / "python/curate/_curate.pyi"


def refined(text: str) -> str:
    text = text.replace("from types import CapsuleType\n", "")
    text = re.sub(
        r"from typing_extensions import .*\n",
        "from numpy.typing import NDArray\nfrom typing_extensions import CapsuleType, disjoint_base\n",
        text,
    )
    text = re.sub(r"(from _typeshed import )Incomplete, ", r"\1", text)
    text = re.sub(r"\bIncomplete\b", "NDArray[Any]", text)
    text = re.sub(r"\bdict(?!\[)(?=[\]:])", "dict[str, Any]", text)
    text = re.sub(r"\*others(?=[,)])", "*others: Any", text)
    return text.replace("progress: Any | None", "progress: bool | Progress | None").replace(
        "from typing import Any,", "from curate._progress import Progress\nfrom typing import Any,"
    )


def main(generated: str, *options: str) -> int:
    wanted = refined(Path(generated).read_text())
    if "--check" not in options:
        COMMITTED.write_text(wanted)
        return 0
    committed = COMMITTED.read_text()
    names = (str(COMMITTED), "generated")
    diff = difflib.unified_diff(committed.splitlines(), wanted.splitlines(), *names, lineterm="")
    lines = list(diff)
    print("\n".join(lines) or "the stubs are those of the module")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
