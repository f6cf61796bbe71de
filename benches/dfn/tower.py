"""The image tower beside PyTorch and ONNX Runtime, and where its time goes."""

import json
import os
import shutil
import subprocess
import time

# Functions of the program, by what they are for. What is none of them is `other`.
PARTS = [("products", ("onto_",)), ("bias, GELU and residual", ("products::finish",)),
         ("packing", ("PackedRows", "Panels", "transpose")), ("LayerNorm", ("norm_rows",)),
         ("attention, without its products", ("attention", "Attention", "softmax"))]


def created(args):
    import open_clip
    import torch

    torch.manual_seed(0)
    return open_clip.create_model(args.model, pretrained=None).eval()


def prepared(args, bench):
    """A folder with the network, the pixels of a batch and `visual.onnx`; the network; the pixels."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    folder = bench / args.model
    folder.mkdir(parents=True, exist_ok=True)
    model = created(args)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()},
              folder / "open_clip_model.safetensors")
    config = {"model_cfg": open_clip.get_model_config(args.model)}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    size = config["model_cfg"]["vision_cfg"]["image_size"]
    pixels = torch.randn(args.batch, 3, size, size)
    pixels.numpy().astype("<f4").tofile(folder / "pixels.f32")
    torch.onnx.export(model.visual, (pixels,), str(folder / "visual.onnx"), input_names=["pixels"],
                      output_names=["features"], dynamo=False)
    return folder, model, pixels


def measure(args, bench, program):
    import numpy as np
    import onnxruntime
    import open_clip
    import torch

    torch.set_num_threads(args.threads)
    folder, model, pixels = prepared(args, bench)
    vision = open_clip.get_model_config(args.model)["vision_cfg"]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    session = onnxruntime.InferenceSession(str(folder / "visual.onnx"), options)

    def torch_once():
        with torch.no_grad():
            return timed(lambda: model.encode_image(pixels))

    def onnx_once():
        return timed(lambda: session.run(None, {"pixels": pixels.numpy()})[0])

    def ours_once(threads=args.threads):
        env = {**os.environ, "RAYON_NUM_THREADS": str(threads)}
        out = subprocess.run([program, folder, "2"], env=env, check=True, capture_output=True, text=True)
        return min(json.loads(out.stdout)), np.fromfile(folder / "features.f32", "<f4")

    a, b = np.ones((1600, 768), "f4"), np.ones((768, 3072), "f4")

    def sgemm_once():
        return 2 * a.size * b.shape[1] / timed(lambda: a @ b)[0] / 1e9

    _, expected = torch_once()
    expected = expected.numpy()
    onnx_once(), sgemm_once()
    rounds = {"torch": [], "onnxruntime": [], "ours": []}
    sgemm = []
    for _ in range(args.rounds):
        sgemm += [sgemm_once() for _ in range(5)]
        for name, once in (("torch", torch_once), ("onnxruntime", onnx_once), ("ours", ours_once)):
            seconds, features = once()
            rounds[name].append(seconds)
            got = np.asarray(features).reshape(expected.shape)
            difference = float(np.abs(got - expected).max() / np.abs(expected).max())
            assert difference < 1e-5, f"{name} differs by {difference}"
    flops = forward_flops(vision, args.batch)
    return {
        "case": {"model": args.model, "batch": args.batch, "gflop": flops / 1e9},
        "rounds": rounds,
        "gflops": {name: flops / min(seconds) / 1e9 for name, seconds in rounds.items()},
        "sgemm_gflops": max(sgemm),
        "largest_relative_difference_to_torch": difference,
        "shares": shares([program, folder, "10"], PARTS, bench),
    }


def shares(command, parts, bench):
    """Where one thread's time goes, sampled by perf; nothing where there is none. `parts` names
    functions of the program by what they are for."""
    if shutil.which("perf") is None:
        return None
    data = bench / "perf.data"
    env = {**os.environ, "RAYON_NUM_THREADS": "1"}
    record = ["perf", "record", "-q", "-e", "cpu-clock", "-F", "500", "-o", data, *command]
    subprocess.run(record, env=env, check=True, capture_output=True)
    report = ["perf", "report", "-i", data, "--stdio", "-F", "overhead,symbol", "-g", "none"]
    lines = subprocess.run(report, check=True, capture_output=True, text=True).stdout.splitlines()
    found = dict.fromkeys([name for name, _ in parts] + ["other"], 0.0)
    for line in lines:
        share, _, symbol = line.strip().partition("%")
        if not line.strip() or line.startswith("#"):
            continue
        name = next((name for name, marks in parts if any(mark in symbol for mark in marks)), "other")
        found[name] += float(share) / 100
    return found


def timed(work):
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def forward_flops(vision, batch):
    """Multiplications and additions of the linear layers and of attention."""
    width, patch, size = vision["width"], vision["patch_size"], vision["image_size"]
    tokens = (size // patch) ** 2 + 1
    layer = 2 * tokens * 12 * width * width + 4 * tokens * tokens * width
    return batch * (vision["layers"] * layer + 2 * tokens * 3 * patch * patch * width)
