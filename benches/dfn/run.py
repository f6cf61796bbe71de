"""Times a network on the CPU beside its peers in one run.

    python3 benches/dfn/run.py             # inference
    python3 benches/dfn/run.py training    # steps of training
    python3 benches/dfn/run.py embed       # tars of JPEGs from end to end
    python3 benches/dfn/run.py precision   # bfloat16 and 8-bit integers, and what they change

Each has a record for every class of processors, such as records/training/avx2.json. A run waits five minutes for
the load to fall to .5, and with more at its start it prints what it measured and keeps nothing. (The records of avx2 are
older than that rule; each says what its load was.)

Makes a virtual environment under target/ (PyTorch, open_clip, ONNX Runtime, tokenizers, Pillow,
scikit-image for its photographs), and runs each side in turn, several times, on the same number of
threads. The peers are PyPI's wheels as they come. A round is the fastest of a side's repeats in it,
except for PyTorch and ONNX Runtime, which are given one batch a round after one to warm up.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import venv
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import report  # noqa: E402  beside this folder

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BENCH = ROOT / "target" / "bench-dfn"
PACKAGES = ["numpy", "torch", "open_clip_torch", "safetensors", "onnxruntime", "onnx", "onnxscript",
            "tokenizers", "pillow", "pyarrow", "scikit-image", "webdataset"]
BARS = {"tower_torch_over_ours": 1.0, "tokens_1_thread_tokenizers_over_ours": 1.0,
        "tokens_2_threads_tokenizers_over_ours": 1.0, "jpeg_pillow_over_ours": 1.5,
        "png_pillow_over_ours": 1.5}
EMBED_BARS = {"embed_open_clip_over_ours": 1.3}
PRECISION_BARS = {"int8_torch_over_ours": 1.6, "int8_torch_bf16_over_ours": 1.0}
if "avx512_bf16" in report.flags():
    PRECISION_BARS |= {"bf16_torch_over_ours": 1.6, "bf16_torch_bf16_over_ours": 1.0}
RELEASE = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
TARGET = RELEASE / "examples"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", nargs="?", default="inference", choices=["inference", "training", "embed", "precision"])
    parser.add_argument("--model", default="ViT-B-32")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside:
        args.load = report.wait_until_quiet()
        sides = {"inference": inference, "training": training, "embed": embedding, "precision": precision}
        return sides[args.what](args)
    python = BENCH / "venv" / "bin" / "python"
    if not python.exists():
        venv.create(BENCH / "venv", with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    # Inference beside the program, so that both share one build of the dependencies.
    beside = ["--package", "curate-dfn", "--no-default-features", "--package", "curate-cli"]
    build = {"inference": [*beside, "--example", "forward", "--example", "parts"],
             "training": ["--package", "curate-dfn", "--example", "train_step"],
             "embed": ["--package", "curate-cli"],
             "precision": [*beside, "--example", "forward", "--bin", "curate"]}
    subprocess.run(["cargo", "build", "--quiet", "--release", *build[args.what]], cwd=ROOT, check=True)
    threads = {name: str(args.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    subprocess.run([python, __file__, "--inside", *sys.argv[1:]], check=True, env={**os.environ, **threads})


def inference(args):
    import inputs
    import tower

    parts = {"tower": tower.measure(args, BENCH, TARGET / "forward")}
    parts |= inputs.tokens(args, ROOT, BENCH, TARGET / "parts")
    parts |= inputs.images(args, BENCH, TARGET / "parts")
    write(args, parts, BARS)


def training(args):
    import training as steps

    parts = {f"{captions}_captions": part for captions, part in steps.measure(args, BENCH, TARGET / "train_step").items()}
    write(args, parts, {})


def embedding(args):
    import embed

    write(args, {"embed": embed.measure(args, BENCH, RELEASE / "curate", ROOT)}, EMBED_BARS)


def precision(args):
    import precision as modes

    write(args, modes.measure(args, BENCH, TARGET / "forward", RELEASE / "curate", ROOT), PRECISION_BARS)


def write(args, parts, bars):
    ratios = {}
    for part_name, part in parts.items():
        best = {side: min(seconds) for side, seconds in part["rounds"].items()}
        part["seconds"] = best
        ratios |= {f"{part_name}_{side}_over_ours": best[side] / best["ours"] for side in best if side != "ours"}
    record = {
        "command": "python3 benches/dfn/run.py" + ("" if args.what == "inference" else f" {args.what}"),
        "unit": "seconds, the fastest round of each side; ratios are theirs over ours",
        "threads": args.threads,
        "versions": versions(),
        "machine": {"arch": platform.machine(), "cores": os.cpu_count(), "cpu": cpu(),
                    "load_before": args.load},
        **parts,
        "ratios": ratios,
        "bars": bars,
        "passed": {bar: ratios[bar] >= least for bar, least in bars.items()},
    }
    print(json.dumps({k: record[k] for k in ("ratios", "passed")}, indent=2))
    if args.load > report.QUIET:
        print(f"not kept: the load was {args.load:.1f} when it began, and may be {report.QUIET} at most")
        return
    results = HERE / "records" / args.what / f"{report.class_of_processor()}.json"
    results.write_text(json.dumps(record, indent=2) + "\n")


def versions():
    from importlib.metadata import version

    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def cpu():
    wide = ", ".join(flag for flag in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16") if flag in report.flags())
    return f"{report.processor()} ({wide})"


if __name__ == "__main__":
    main()
