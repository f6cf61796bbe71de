"""Writes patterns.txt: patterns of files, and the names that Python's braceexpand makes of them.

    pip install braceexpand
    python3 make_patterns.py
"""

import random
from pathlib import Path

from braceexpand import braceexpand

FIXED = ["{train,val}/{000..001}.tar", "s/{008..011}.tar", "{5..3}", "{0..10..3}", "{a..e}", "{x,y{1,2}}", "{}", "{a}",
         "{a,}", "{,a}", "{-2..1}", "{-01..1}", "{1..03}", "{a{0..1}b}", "{1,2", "1,2}", "a\\{1,2\\}", "{a\\,b,c}",
         "{1..a}", "{1..2..0}", "{3..3}", "{{1,2}}", "{{a}}", "{}{1..2}", "x{1..2}{a,b}y", "{B..D}", "{0..0}"]
PIECES = ["{", "}", ",", "..", "0", "1", "3", "007", "12", "a", "c", "-1", "x", "/", ".tar", "\\", "{1..3}", "{a,b}", "{}"]


def main():
    random.seed(5)
    patterns = FIXED + ["".join(random.choices(PIECES, k=random.randint(1, 9))) for _ in range(600)]
    lines = []
    for pattern in patterns:
        try:
            names = list(braceexpand(pattern))
        except ValueError:
            names = ["!"]
        lines.append("\t".join([pattern, *names]))
    (Path(__file__).parent / "patterns.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
