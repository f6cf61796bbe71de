"""Tokenizer and image transform beside Hugging Face tokenizers and Pillow."""

import gzip
import io
import json
import os
import subprocess
import time

PHOTOS = ["astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "retina.jpg",
          "hubble_deep_field.jpg", "rocket.jpg", "ihc.png"]


def run(program, what, path, threads, repeats=5):
    env = {**os.environ, "RAYON_NUM_THREADS": str(threads)}
    out = subprocess.run([program, what, path, str(repeats)], env=env, check=True, capture_output=True, text=True)
    return min(json.loads(out.stdout))


def fastest(work, repeats=5):
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - start)
    return min(seconds), result


def tokens(args, root, bench, program):
    """The captions of the demonstration pool that the other side's cleaning leaves alone too.

    tokenizers knows no ftfy, so its side normalises (NFC, spaces, lower case) and no more; ours
    repairs as open_clip does. Its fastest call for a batch is used."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
    import pyarrow.parquet as pq

    files = sorted((root / "demo/pool/metadata").glob("*.parquet"))
    captions = [text for f in files for text in pq.read_table(f, columns=["text"])["text"].to_pylist() if text]
    captions = [" ".join(text.split()) for text in captions]
    file = bench / "captions.txt"
    file.write_text("\n".join(captions) + "\n")
    lines = gzip.open(root / "crates/curate-dfn/assets/bpe_merges.txt.gz", "rt").read().splitlines()
    merges = [tuple(line.split(" ")) for line in lines if " " in line]
    letters = symbols()
    names = letters + [s + "</w>" for s in letters] + ["".join(m) for m in merges]
    names += ["<start_of_text>", "<end_of_text>"]
    vocab = {name: i for i, name in enumerate(names)}
    theirs = Tokenizer(models.BPE(vocab=vocab, merges=merges, end_of_word_suffix="</w>"))
    theirs.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    words = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    theirs.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(words), behavior="removed", invert=True),
         pre_tokenizers.ByteLevel(add_prefix_space=False)])
    theirs.post_processor = processors.TemplateProcessing(
        single="<start_of_text> $A <end_of_text>",
        special_tokens=[("<start_of_text>", 49406), ("<end_of_text>", 49407)])
    theirs.enable_truncation(77)
    theirs.enable_padding(length=77, pad_id=0)
    found = {}
    for threads in (1, 2):
        os.environ["TOKENIZERS_PARALLELISM"] = str(threads > 1).lower()
        os.environ["RAYON_NUM_THREADS"] = str(threads)
        rounds = {"tokenizers": [], "ours": []}
        for _ in range(args.rounds):
            seconds, encoded = fastest(lambda: theirs.encode_batch_fast(captions))
            rounds["tokenizers"].append(seconds)
            rounds["ours"].append(run(program, "tokens", file, threads))
        ours = json.loads(file.with_suffix(".ours.json").read_text())
        same = sum(a.ids == b for a, b in zip(encoded, ours, strict=True))
        assert same > 0.98 * len(captions), f"only {same} of {len(captions)} captions have the same tokens"
        name = f"tokens_{threads}_thread{'s' if threads > 1 else ''}"
        found[name] = {"case": {"captions": len(captions), "same_tokens": same}, "rounds": rounds}
    return found


def symbols():
    """How the vocabulary writes the 256 bytes, in the order of its tokens."""
    readable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(b) for b in readable] + [chr(256 + i) for i in range(256 - len(readable))]


def images(args, bench, program):
    """Photographs of scikit-image as JPEG (quality 85) and PNG: decode, resize, cut to 224 pixels."""
    import numpy as np
    import skimage.data
    from PIL import Image

    source = os.path.dirname(skimage.data.__file__)
    found = {}
    for kind, settings in (("jpeg", {"quality": 85}), ("png", {})):
        folder = bench / kind
        folder.mkdir(exist_ok=True)
        for name in PHOTOS:
            image = Image.open(os.path.join(source, name)).convert("RGB")
            image.save(folder / f"{name.split('.')[0]}.{kind}", **settings)
        files = [path.read_bytes() for path in sorted(folder.iterdir())]
        rounds = {"pillow": [], "ours": []}
        for _ in range(args.rounds):
            seconds, theirs = fastest(lambda: [transform(Image, file) for file in files])
            rounds["pillow"].append(seconds)
            rounds["ours"].append(run(program, "images", folder, 1))
        ours = np.fromfile(folder.with_suffix(".bytes"), "u1").astype(int)
        theirs = np.frombuffer(b"".join(theirs), "u1").astype(int)
        difference = int(np.abs(ours - theirs).max())
        assert difference == 0, f"{kind} differs by {difference}"
        pixels = sum(Image.open(io.BytesIO(f)).width * Image.open(io.BytesIO(f)).height for f in files)
        found[kind] = {"case": {"files": len(files), "pixels": pixels, "largest_difference": difference},
                       "rounds": rounds}
    return found


def transform(Image, file, size=224):
    """What torchvision's Resize and CenterCrop do with Pillow."""
    image = Image.open(io.BytesIO(file)).convert("RGB")
    width, height = image.size
    short, long = min(width, height), max(width, height)
    scaled = int(size * long / short)
    to = (size, scaled) if width <= height else (scaled, size)
    image = image.resize(to, Image.BICUBIC)
    left, top = int(round((to[0] - size) / 2.0)), int(round((to[1] - size) / 2.0))
    return image.crop((left, top, left + size, top + size)).tobytes()
