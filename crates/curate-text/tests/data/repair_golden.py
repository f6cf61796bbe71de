"""Broken captions and what ftfy makes of them, as JSON lines of two texts. The installed version says
which file is written: `repair_golden.jsonl` is that of 6.3.1, `repair_golden_6.1.jsonl` and
`repair_golden_6.2.jsonl` are those of 6.1.3 (which calls itself 6.1.2) and 6.2.3.

    pip install ftfy==6.3.1
    python repair_golden.py --cases 1200 --seed 1 --out .
    pip install ftfy==6.2.3
    python repair_golden.py --cases 500 --seed 14 --out .
    pip install ftfy==6.1.3
    python repair_golden.py --cases 500 --seed 14 --out .
"""

import argparse
import json
import os
import random

import ftfy

ENCODINGS = ["latin-1", "sloppy-windows-1252", "sloppy-windows-1251", "sloppy-windows-1250",
             "sloppy-windows-1253", "sloppy-windows-1254", "sloppy-windows-1257", "iso-8859-2",
             "macroman", "cp437", "cp1252", "cp850", "cp866"]
WORDS = """café naïve İstanbul Rīga œuvre it’s “quoted” – — … £20 €5 ½ ©2020 ® ™ Привет мир Київ Ελλάδα
Αθήνα 日本語 東京タワー 한국어 العربية עברית हिन्दी ไทย Łódź Škoda Ångström Zürich São Paulo niño ﬁne ﬂower ŉ Ǆ
ＬＯＵＤ ｶﾞｷﾞ 　 😀 👩‍👩‍👧 🇩🇪 ~100° 5×4 x² à la à quel voilà Ã  Â  A&B a photo of the cat ſ ı K Å e\u0301 a\u030a
&amp; &eacute; &EACUTE; &amp;amp;lt; &#233; &#x27; &#128; &#0; &#xD800; &notit; &copy &SZLIG; <b> </b> &nbsp;
\x1b[31mred\x1b[0m \u200b \ufeff \u2028 \x85 \x93 \x9d \x07 \x1a \x7f \ufffd \ufff9 \u206a ? \r\n \n \xa0 \xad""".split(" ")


def broken(text, rng):
    for _ in range(rng.choice([0, 1, 1, 1, 2, 3])):
        encoding = rng.choice(ENCODINGS)
        errors = rng.choice(["strict", "replace", "ignore"])
        try:
            data = text.encode(rng.choice(["utf-8", "utf-8", "utf-8", "cp1252"]), "ignore")
            if rng.random() < 0.2:
                data = data.replace(b"\xa0", b" ")
            if rng.random() < 0.1 and data:
                at = rng.randrange(len(data))
                data = data[:at] + rng.choice([b"?", b"\x1a", b"\xc0\x80", b"\xed\xa0\xbd\xed\xb8\x80", b""]) + data[at + 1:]
            text = data.decode(encoding, errors)
        except UnicodeError:
            pass
    return text


def noise(rng):
    ranges = [(0x80, 0x180), (0x20, 0x7f), (0x370, 0x460), (0x2010, 0x2040), (0x2500, 0x25a0), (0xff00, 0xfff0), (1, 0xd7ff)]
    return "".join(chr(rng.randrange(*rng.choice(ranges))) for _ in range(rng.randrange(1, 9)))


def caption(rng):
    parts = [noise(rng) if rng.random() < 0.15 else rng.choice(WORDS) for _ in range(rng.randrange(1, 9))]
    text = rng.choice([" ", " ", ""]).join(parts)
    if rng.random() < 0.3:
        return broken(text, rng) + rng.choice(["", " "]) + broken(rng.choice(WORDS), rng)
    return broken(text, rng)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", default=os.path.dirname(os.path.abspath(__file__)))
    args = parser.parse_args()
    files = {"6.3.1": "repair_golden", "6.2.3": "repair_golden_6.2", "6.1.2": "repair_golden_6.1"}
    name = files[ftfy.__version__] + ".jsonl"
    rng = random.Random(args.seed)
    with open(os.path.join(args.out, name), "w", encoding="ascii", newline="\n") as file:
        for _ in range(args.cases):
            text = caption(rng)
            file.write(json.dumps([text, ftfy.fix_text(text)]) + "\n")
