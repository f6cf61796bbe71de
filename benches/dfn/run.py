"""Times the image tower of ViT-B/32 against PyTorch's and ONNX Runtime's CPU forward.

    python3 benches/dfn/run.py

Makes a virtual environment under target/, random weights as open_clip initialises them, and runs
the three in turn, several times, on the same number of threads. Writes results.json beside it.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BENCH = ROOT / "target" / "bench-dfn"
PACKAGES = ["torch", "open_clip_torch", "safetensors", "onnxruntime", "onnx", "onnxscript"]
BARS = {"torch_over_ours": 1.0}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="ViT-B-32")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside or "open_clip" in sys.modules:
        return measure(args)
    python = BENCH / "venv" / "bin" / "python"
    if not python.exists():
        venv.create(BENCH / "venv", with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    subprocess.run([python, __file__, "--inside", *sys.argv[1:]], check=True)


def measure(args):
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(args.threads)
    import numpy as np
    import onnxruntime
    import open_clip
    import torch
    from safetensors.torch import save_file

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    folder = BENCH / args.model
    folder.mkdir(parents=True, exist_ok=True)
    model = open_clip.create_model(args.model, pretrained=None).eval()
    save_file({k: v.contiguous() for k, v in model.state_dict().items()},
              folder / "open_clip_model.safetensors")
    config = {"model_cfg": open_clip.get_model_config(args.model)}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    size = config["model_cfg"]["vision_cfg"]["image_size"]
    pixels = torch.randn(args.batch, 3, size, size)
    pixels.numpy().astype("<f4").tofile(folder / "pixels.f32")

    onnx_file = folder / "visual.onnx"
    torch.onnx.export(model.visual, (pixels,), str(onnx_file), input_names=["pixels"],
                      output_names=["features"], dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    session = onnxruntime.InferenceSession(str(onnx_file), options)

    build = ["cargo", "build", "--quiet", "--release", "--package", "curate-dfn", "--example", "forward"]
    subprocess.run(build, cwd=ROOT, check=True)
    binary = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/examples/forward"

    def torch_once():
        with torch.no_grad():
            return timed(lambda: model.encode_image(pixels))

    def onnx_once():
        return timed(lambda: session.run(None, {"pixels": pixels.numpy()})[0])

    def ours_once():
        env = {**os.environ, "RAYON_NUM_THREADS": str(args.threads)}
        out = subprocess.run([binary, folder, "3"], env=env, check=True, capture_output=True, text=True)
        return min(json.loads(out.stdout)), np.fromfile(folder / "features.f32", "<f4")

    def gemm_once():
        a = np.ones((1600, 3072), "f4")
        b = np.ones((3072, 768), "f4")
        seconds, _ = timed(lambda: [a @ b for _ in range(10)])
        return 2 * 10 * a.shape[0] * a.shape[1] * b.shape[1] / seconds / 1e9

    torch_once(), onnx_once(), gemm_once()
    seconds = {"torch": [], "onnxruntime": [], "ours": []}
    gemm = []
    for _ in range(args.rounds):
        gemm.append(gemm_once())
        for name, once in (("torch", torch_once), ("onnxruntime", onnx_once), ("ours", ours_once)):
            taken, features = once()
            seconds[name].append(taken)
            if name == "torch":
                expected = features.numpy()
            else:
                got = np.asarray(features).reshape(expected.shape)
                difference = float(np.abs(got - expected).max() / np.abs(expected).max())
                assert difference < 1e-5, f"{name} differs by {difference}"
                if name == "ours":
                    ours_difference = difference
    vision = config["model_cfg"]["vision_cfg"]
    flops = forward_flops(vision, args.batch)
    best = {name: min(values) for name, values in seconds.items()}
    ratios = {
        "torch_over_ours": best["torch"] / best["ours"],
        "onnxruntime_over_ours": best["onnxruntime"] / best["ours"],
        "ours_share_of_sgemm": flops / best["ours"] / 1e9 / max(gemm),
    }
    report = {
        "command": "python3 benches/dfn/run.py",
        "unit": "seconds a batch, the fastest of the rounds, which take turns; ratios are theirs over ours",
        "case": {"model": args.model, "batch": args.batch, "threads": args.threads,
                 "gflop": flops / 1e9},
        "versions": {"python": platform.python_version(), "torch": torch.__version__,
                     "onnxruntime": onnxruntime.__version__, "open_clip": open_clip.__version__,
                     "numpy": np.__version__},
        "machine": {"arch": platform.machine(), "cores": os.cpu_count(),
                    "load_before": os.getloadavg()[0]},
        "seconds": best,
        "median_seconds": {name: statistics.median(values) for name, values in seconds.items()},
        "sgemm_gflops": max(gemm),
        "largest_relative_difference_to_torch": ours_difference,
        "ratios": ratios,
        "bars": BARS,
        "passed": {name: ratios[name] >= bar for name, bar in BARS.items()},
    }
    (HERE / "results.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


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


if __name__ == "__main__":
    main()
