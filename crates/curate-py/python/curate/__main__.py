"""The command `curate`, also as `python -m curate`."""

import signal
import sys

from curate._curate import _program


def main() -> int:
    """Carry out the command line of this process.

    Ctrl-C is the program's, which says what is kept, and not Python's.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _program(["curate", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
