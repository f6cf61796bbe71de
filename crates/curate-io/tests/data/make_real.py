"""Writes real/: tar shards and JSON lines as other programs write them, and what webdataset and Python's
json read of them.

    pip install webdataset
    python3 make_real.py [--cases N] [--seed S] [--out DIR]

With a DIR of many cases, the tests read that one: CURATE_FUZZ_DIR=DIR cargo test -p curate-io --test real
"""

import argparse
import io
import json
import random
import shutil
import tarfile
import warnings
from pathlib import Path

import webdataset as wds

IMAGES = ["jpg", "png", "jpeg", "webp", "gif"]
TEXTS = ["a cat", "", "  \n", "\u00e4\u00f6 \U0001f600", "null", "x" * 300, "\u2003", "tab\there"]
VALUES = ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "0.1", "3", "-0.0", "12345678901234567890123", "null", "true",
          '"text"', "[1, {}]", "1e-400", "0.30000000000000004", '"\\ud83d"', '"\\ud83d\\ude00"', '"x\\udc00y"', "9007199254740993"]
BROKEN = ["[1]", "{", "null", '{"a": }', '{"a": 01}', "{'a': 1}", '{"a": nan}', '{"a": 1,}', '{"a": "\t"}', "{} x", '"text"',
          '{"a": -NaN}', '{"a": "\\x"}', '{"a" 1}', '{"a": .5}']
NAMES = ["score", "text", "caption", "id", "key", "score"]


def record(rng):
    if rng.random() < 0.15:
        return rng.choice(BROKEN)
    fields = []
    for name in rng.choices(NAMES, k=rng.randint(0, 5)):
        value = rng.choice(VALUES) if rng.random() < 0.5 else json.dumps(rng.choice(TEXTS), ensure_ascii=rng.random() < 0.5)
        fields.append(f'"{name}": {value}')
    return "{" + ", ".join(fields) + "}"


def utf8(text):
    """A lone surrogate is U+FFFD; Python's encoder writes `?` for it."""
    return "".join("\ufffd" if 0xD800 <= ord(c) <= 0xDFFF else c for c in text)


def read(text):
    """What a record says: null where it is none."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def caption(found):
    texts = [found.get(name) for name in ("text", "caption")]
    texts = [utf8(text) for text in texts if isinstance(text, str) and text.strip()]
    return texts[0] if texts else None


def number(found):
    value = found.get("score")
    return repr(float(value)) if isinstance(value, (int, float)) else None


def lines_case(rng, path):
    rows, out = [], b"\xef\xbb\xbf" if rng.random() < 0.3 else b""
    end = rng.choice(["\n", "\r\n"])
    for _ in range(rng.randint(1, 6)):
        text = record(rng)
        found = read(text)
        rows.append(None if found is None else {"caption": caption(found), "score": number(found)})
        out += (text + end).encode()
        if rng.random() < 0.1:
            out += end.encode()
    path.write_bytes(out)
    return rows


def member(rng, tar, name, data):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    kind = rng.random()
    if kind < 0.04:
        info.type, info.size, info.linkname, data = rng.choice([tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE]), 0, "x.png", b""
    elif kind < 0.06:
        info.type = rng.choice([tarfile.CONTTYPE, tarfile.AREGTYPE])
    tar.addfile(info, io.BytesIO(data))


def tar_case(rng, path):
    form = rng.choice([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
    buffer = io.BytesIO()
    tar = tarfile.open(fileobj=buffer, mode="w", format=form)
    prefix = rng.choice(["", "", "./", "a/", "a.b/", "/", "d/" * 30, "__x__/"])
    for i in range(rng.randint(1, 5)):
        key = rng.choice([f"{i:05d}", f"k{i}", "\u00fc" + str(i), f"{i:032x}", f"{i}" * (150 if form != tarfile.USTAR_FORMAT else 60)])
        endings = rng.sample(["jpg", "png", "txt", "json", "JPG", "seg.png", "cls", "jpeg"], k=rng.randint(1, 5))
        if rng.random() < 0.2:
            endings.append(rng.choice(endings))
        for ending in endings:
            data = rng.randbytes(rng.randint(1, 700))
            if ending == "txt":
                data = rng.choice(TEXTS).encode()
            if ending == "json":
                data = record(rng).encode()
            member(rng, tar, f"{prefix}{key}.{ending}", data)
        if rng.random() < 0.2:
            member(rng, tar, rng.choice([".DS_Store", f"._{i}.png", "noending", "__meta__", "__m__/x.png", "x/noending"]), b"x")
    end = tar.offset
    tar.close()
    data = buffer.getvalue()
    path.write_bytes(data[:end] if rng.random() < 0.15 else data)
    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        samples = wds.WebDataset(str(path), shardshuffle=False, handler=wds.ignore_and_continue, empty_check=False)
        for sample in samples:
            found = read(sample["json"]) if "json" in sample else {}
            image = next((sample[ending].hex() for ending in IMAGES if ending in sample), None)
            text = sample["txt"].decode().strip() if "txt" in sample else found and caption(found)
            rows.append({"key": sample["__key__"], "image": image, "bad": found is None, "caption": text or None,
                         "score": number(found or {})})
    return rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=39)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "real")
    args = parser.parse_args()
    shutil.rmtree(args.out, ignore_errors=True)
    args.out.mkdir(parents=True)
    rng, expected = random.Random(args.seed), {}
    for case in range(args.cases):
        name = f"{case:05d}" + (".jsonl" if case % 3 else ".tar")
        expected[name] = (lines_case if case % 3 else tar_case)(rng, args.out / name)
    (args.out / "expected.json").write_text(json.dumps(expected, indent=0, ensure_ascii=False))


if __name__ == "__main__":
    main()
