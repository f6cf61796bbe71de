"""A pool of tar shards of JPEGs embedded from end to end, beside open_clip with PyTorch and webdataset."""

import io
import json
import os
import shutil
import subprocess
import time

import inputs

SHARDS, SAMPLES = 2, 128
# What img2dataset keeps by default for DataComp: at most so many pixels a side.
SIDE = 512


def measure(args, bench, program, root):
    import numpy as np
    import open_clip
    import torch
    from safetensors.torch import save_file

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    folder = bench / f"embed-{args.model}"
    folder.mkdir(parents=True, exist_ok=True)
    model, _, preprocess = open_clip.create_model_and_transforms(args.model, pretrained=None)
    model.eval()
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / "open_clip_model.safetensors")
    config = {"model_cfg": open_clip.get_model_config(args.model),
              "preprocess_cfg": {"mean": open_clip.OPENAI_DATASET_MEAN, "std": open_clip.OPENAI_DATASET_STD}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    pool = shards(folder / "pool", root)
    tars = [str(tar) for tar in sorted(pool.glob("*.tar"))]

    def theirs():
        start = time.perf_counter()
        images, texts = embed(model, preprocess, open_clip.get_tokenizer(args.model), tars, args)
        np.savez(folder / "theirs.npz", img=images, txt=texts)
        return time.perf_counter() - start, images, texts

    def ours():
        out = folder / "ours"
        shutil.rmtree(out, ignore_errors=True)
        start = time.perf_counter()
        subprocess.run([program, "filter", "embed", pool, "--network", folder, "--out", out,
                        "--threads", str(args.threads), "--quiet"], check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - start
        parts = [np.load(file) for file in sorted(out.glob("*.npz"))]
        return (seconds, *(np.concatenate([part[f"dfn_{name}"] for part in parts]) for name in ("img", "txt")))

    rounds = {"open_clip": [], "ours": []}
    for _ in range(args.rounds):
        found = {}
        for name, side in (("open_clip", theirs), ("ours", ours)):
            seconds, *found[name] = side()
            rounds[name].append(seconds)
        pairs = zip(sorted_rows(found["ours"]), sorted_rows(found["open_clip"]), strict=True)
        difference = max(float(np.abs(a - b).max()) for a, b in pairs)
        assert difference < 1e-4, f"embeddings differ by {difference}"
    return {
        "case": {"model": args.model, "images": SHARDS * SAMPLES, "side": SIDE, "workers": 2,
                 "jpeg_bytes": sum(os.path.getsize(tar) for tar in tars)},
        "rounds": rounds,
        "images_per_second": {name: SHARDS * SAMPLES / min(seconds) for name, seconds in rounds.items()},
        "largest_difference": difference,
    }


def sorted_rows(parts):
    """Pairs in an order of their own: two workers hand theirs over in turns."""
    import numpy as np

    both = np.concatenate(parts, axis=1)
    return both[np.argsort(both[:, 0], kind="stable")]


def embed(model, preprocess, tokenizer, tars, args):
    """As a script with open_clip does it: two processes decode and resize, one forwards batches."""
    import numpy as np
    import torch
    import webdataset as wds

    data = wds.WebDataset(tars, shardshuffle=False, nodesplitter=None).decode("pilrgb").to_tuple("jpg", "txt")
    data = data.map_tuple(preprocess, lambda text: tokenizer([text])[0]).batched(args.batch, partial=True)
    loader = torch.utils.data.DataLoader(data, batch_size=None, num_workers=2, prefetch_factor=2)
    images, texts = [], []
    with torch.inference_mode():
        for pixels, tokens in loader:
            images.append(model.encode_image(pixels, normalize=True).numpy())
            texts.append(model.encode_text(tokens, normalize=True).numpy())
    return np.concatenate(images), np.concatenate(texts)


def shards(pool, root):
    """Cuts of scikit-image's photographs, of many sizes and shapes, with captions of the demonstration."""
    import numpy as np
    import pyarrow.parquet as pq
    import skimage.data
    import webdataset as wds
    from PIL import Image

    if pool.exists():
        return pool
    source = os.path.dirname(skimage.data.__file__)
    photos = [Image.open(os.path.join(source, name)).convert("RGB") for name in inputs.PHOTOS]
    files = sorted((root / "demo/pool/metadata").glob("*.parquet"))
    captions = [text for f in files for text in pq.read_table(f, columns=["text"])["text"].to_pylist() if text]
    rng = np.random.default_rng(0)
    made = pool.with_name("pool.part")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    for shard in range(SHARDS):
        with wds.TarWriter(str(made / f"{shard:05}.tar"), mtime=0) as sink:
            for i in range(shard * SAMPLES, (shard + 1) * SAMPLES):
                file = io.BytesIO()
                cut(photos[i % len(photos)], rng).save(file, "JPEG", quality=95)
                sink.write({"__key__": f"{i:09}", "jpg": file.getvalue(), "txt": " ".join(captions[i].split())})
    made.rename(pool)
    return pool


def cut(photo, rng):
    width, height = (int(side * share) for side, share in zip(photo.size, rng.uniform(0.5, 1.0, 2)))
    left, top = (int(rng.integers(0, whole - part + 1)) for whole, part in zip(photo.size, (width, height)))
    part = photo.crop((left, top, left + width, top + height))
    part.thumbnail((SIDE, SIDE))
    return part
