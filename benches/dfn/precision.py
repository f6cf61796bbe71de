"""The image tower in bfloat16 and 8-bit integers beside f32 and its peers, and what they change in scores."""

import json
import os
import shutil
import subprocess

import tower

SHARE = 0.15
MODES = ["bf16", "int8"]


def measure(args, bench, forward, program, root):
    """For each mode what it takes beside the peers, all in one run, and what it changes."""
    found = speed(args, bench, forward)
    changed = scores(bench, program, root)
    return {mode: of_mode(mode, found) | {"scores": changed[mode]} for mode in MODES}


def of_mode(mode, found):
    """The run with this mode as `ours`."""
    names = {f"ours_{mode}": "ours"}
    return {key: {names.get(side, side): value for side, value in part.items()} for key, part in found.items()}


def speed(args, bench, forward):
    import numpy as np
    import onnxruntime
    import torch
    from onnxruntime.quantization import quantize_dynamic

    torch.set_num_threads(args.threads)
    folder, model, pixels = tower.prepared(args, bench)
    half = tower.created(args).to(torch.bfloat16)
    quantize_dynamic(folder / "visual.onnx", folder / "visual-int8.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    session = onnxruntime.InferenceSession(str(folder / "visual-int8.onnx"), options)

    def torch_once(model, pixels):
        with torch.no_grad():
            return tower.timed(lambda: model.encode_image(pixels))

    def ours_once(precision):
        env = {**os.environ, "RAYON_NUM_THREADS": str(args.threads)}
        command = [forward, folder, "2", precision]
        out = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
        return min(json.loads(out.stdout)), np.fromfile(folder / "features.f32", "<f4")

    sides = {
        "torch": lambda: torch_once(model, pixels),
        "torch_bf16": lambda: torch_once(half, pixels.to(torch.bfloat16)),
        "onnxruntime_int8": lambda: tower.timed(lambda: session.run(None, {"pixels": pixels.numpy()})[0]),
    } | {f"ours_{mode}": lambda mode=mode: ours_once(mode) for mode in ["f32", *MODES]}
    expected = sides["torch"]()[1].numpy()
    sides["torch_bf16"](), sides["onnxruntime_int8"]()
    rounds, cosines = {side: [] for side in sides}, {}
    for _ in range(args.rounds):
        for side, once in sides.items():
            seconds, features = once()
            rounds[side].append(seconds)
            got = features.float().numpy() if torch.is_tensor(features) else np.asarray(features)
            cosines[side] = least_cosine(expected, got.reshape(expected.shape))
    return {"case": {"model": args.model, "batch": args.batch}, "rounds": rounds, "least_cosine": cosines}


def least_cosine(a, b):
    import numpy as np

    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(((a * b).sum(1) / lengths).min())


def scores(bench, program, root):
    """How scores of the demonstration's pairs by its trained network change, and a cut by them; by mode."""
    import pyarrow.dataset as dataset

    found = {}
    for precision in ["f32", *MODES]:
        out = bench / f"precision-{precision}"
        shutil.rmtree(out, ignore_errors=True)
        command = [program, "filter", "embed", root / "demo" / "pool", "--network", root / "demo" / "filter",
                   "--out", out, "--precision", precision]
        subprocess.run(command, check=True, capture_output=True)
        files = sorted(out.glob("*.scores.parquet"))
        found[precision] = dataset.dataset(files).to_table()["score"].to_numpy()
    return {mode: changes(found["f32"], found[mode]) for mode in MODES}


def changes(exact, near):
    import numpy as np

    good = np.isfinite(exact)
    assert (good == np.isfinite(near)).all(), "other pairs are bad"
    exact, near = exact[good], near[good]
    keep = int(SHARE * len(exact))
    best = [set(np.argsort(-values, kind="stable")[:keep]) for values in (exact, near)]
    return {
        "pairs": len(exact),
        "share": SHARE,
        "changed": 1 - len(best[0] & best[1]) / keep,
        "rank_correlation": float(np.corrcoef(ranks(exact), ranks(near))[0, 1]),
        "largest_difference": float(np.abs(exact - near).max()),
        "deviation": float(exact.std()),
    }


def ranks(values):
    import numpy as np

    places = np.empty(len(values))
    places[np.argsort(values, kind="stable")] = np.arange(len(values))
    return places
