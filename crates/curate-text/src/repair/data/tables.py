"""Writes the tables of text repair from ftfy (Apache 2.0, LICENSE.txt beside this file).

    pip install ftfy==6.3.1
    python tables.py
    pip install ftfy==6.2.3
    python tables.py

6.3.1 writes all tables; 6.2.3 writes `badness-6.2.txt` and `clues-6.2.txt` and finds the others as they
are, less one encoding. 6.1.3 has the tables of 6.2.3.

- badness.txt: the regular expression of mojibake, one alternative a line, in Rust's syntax.
- encodings.txt: name, then the characters of bytes 0x80 to 0xff, in hexadecimal.
- clues.txt: the characters of UTF-8 read as another encoding; a range is two numbers.
- entities.txt: names of HTML with their characters, those in capitals that ftfy adds included.
- width.txt, ligatures.txt: a character and what stands for it, in hexadecimal.
"""

import os
import re

import ftfy
from ftfy import badness, chardata

OLDER = {"6.3.1": "", "6.2.3": "-6.2", "6.1.2": "-6.2"}[ftfy.__version__]
HERE = os.path.dirname(os.path.abspath(__file__))


def write(name, lines):
    text = "\n".join(lines) + "\n"
    path = os.path.join(HERE, name)
    if OLDER and OLDER not in name:
        with open(path, encoding="utf-8", newline="\n") as file:
            same = file.read()
        if name == "encodings.txt":
            same = "".join(line for line in same.splitlines(True) if "1257" not in line)
        assert text == same, name
        return
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)


def escaped(char):
    return char if " " <= char <= "~" else f"\\x{{{ord(char):x}}}"


def alternatives():
    """The verbose expression without its blanks and comments, Python's classes spelled out."""
    source = badness.BADNESS_RE.pattern
    out, inside, at = [], False, 0
    while at < len(source):
        char = source[at]
        if char == "\\":
            pair = source[at : at + 2]
            classes = {"\\s": "[\\s\\x1c-\\x1f]", "\\w": "[\\p{L}\\p{N}_]"}
            # `\xa0` in a raw string is an escape of the expression.
            number = re.match(r"\\x([0-9a-f]{2})", source[at:])
            if number:
                out.append(f"\\x{{{number[1]}}}")
                at += 4
                continue
            assert not inside and pair in classes, pair
            out.append(classes[pair])
            at += 2
            continue
        if char == "#" and not inside:
            at = source.index("\n", at)
            continue
        inside = char == "[" or (inside and char != "]")
        if inside or not char.isspace():
            out.append(escaped(char))
        if char == "|" and not inside:
            out.append("\n")
        at += 1
    return "".join(out).replace("|\n", "\n").split("\n")


def encodings():
    for name in chardata.CHARMAP_ENCODINGS:
        table = bytes(range(0x80, 0x100)).decode(name)
        assert len(set(table)) == 128 and min(table) >= "\x80", name
        low = bytes(range(0x80)).decode(name)
        expected = "".join(map(chr, range(0x80)))
        if name.startswith("sloppy"):
            expected = expected.replace("\x1a", "\ufffd")
        assert low == expected, name
        yield name + " " + " ".join(f"{ord(c):x}" for c in table)


def clues():
    for name in [
        "utf8_first_of_2",
        "utf8_first_of_3",
        "utf8_first_of_4",
        "utf8_continuation",
        "utf8_continuation_strict",
    ]:
        source, parts = chardata.UTF8_CLUES[name], []
        for low, high in re.findall("(.)(?:-(.))?", source, re.DOTALL):
            parts.append(f"{ord(low):x}" + (f"-{ord(high):x}" if high else ""))
        yield name + " " + " ".join(sorted(set(parts), key=lambda p: int(p.split("-")[0], 16)))


def mapping(table):
    for char, value in sorted(table.items()):
        yield f"{char:x} " + " ".join(f"{ord(c):x}" for c in value)


lines = alternatives()
# The same language as Python's: every alternative is checked by the fuzz against ftfy.
write(f"badness{OLDER}.txt", lines)
write("encodings.txt", encodings())
write(f"clues{OLDER}.txt", clues())
write("width.txt", mapping(chardata.WIDTH_MAP))
write("ligatures.txt", mapping(chardata.LIGATURES))
write(
    "entities.txt",
    (
        f"{name[1:-1]} " + " ".join(f"{ord(c):x}" for c in value)
        for name, value in sorted(chardata.HTML_ENTITIES.items())
    ),
)
