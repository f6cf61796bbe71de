"""Times curate-eval's three models beside the same loops in PyTorch and writes results.json.

    python3 benches/eval/run.py

Both sides train on the same number of threads, on features of the same shape: projections (512
pairs a step, a hidden layer of 256 and embeddings of 128, CLIP's loss), an MLP (512 rows of 512
numbers, a hidden layer of 256, 100 classes), and a CNN (128 pictures of 32 x 32, three convolutions
from 16 channels, 100 classes). A step draws a batch from memory, goes forward and back, and takes a
step of AdamW; both sides read the loss of every step. Sides take turns in processes of their own; a
round is the median step of a process after a warm-up, and what counts is a side's fastest round.
Losses start alike on both sides, which is checked; weights are drawn by each side's own rule.

Needs cargo, and a network for `pip install numpy torch` into target/bench-eval; EVAL_PYTHON names
a python that has both already. The machine must be quiet: a load above 0.5 before the first round
is refused, `--busy` measures all the same and says so in the file.
"""

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent))
BENCH = ROOT / "target" / "bench-eval"
MODELS = {"projections": 60, "mlp": 100, "cnn": 30}
WARM = 5
BARS = {"projections.torch_over_ours": 1.0, "mlp.torch_over_ours": 1.0, "cnn.torch_over_ours": 1.0}
SAMPLES, WIDTH, CLASSES, SIDE = 8192, 512, 100, 32


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--busy", action="store_true", help="measure although the machine is not quiet")
    parser.add_argument("--inside", nargs=2, metavar=("MODEL", "STEPS"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside:
        return torch_side(args.inside[0], int(args.inside[1]), args.threads)
    import report

    python = environment()
    program = report.driver("curate-repro", "eval")
    load = os.getloadavg()[0]
    if load > 0.5 and not args.busy:
        sys.exit(f"the load is {load:.2f}: wait until the machine is quiet, or give --busy")
    versions = {"python": platform.python_version(), "rustc": said(["rustc", "--version"])} | json.loads(
        said([python, "-c", "import json, numpy, torch; print(json.dumps("
                            "{'numpy': numpy.__version__, 'torch': torch.__version__}))"]))
    for model, steps in MODELS.items():
        section = measure(model, steps, args, {"ours": [program, model, str(steps)], "torch": [
            python, __file__, "--threads", str(args.threads), "--inside", model, str(steps)]})
        report.save(HERE / "results.json", model, section | {"load_before": load}, "python3 benches/eval/run.py",
                    "seconds a step, the fastest round's median; ratios are theirs over ours", versions, BARS)


def measure(model, steps, args, sides):
    threads = {name: str(args.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")}
    rounds, first = {side: [] for side in sides}, {}
    for _ in range(args.rounds):
        for side, command in sides.items():
            found = json.loads(said(command, env=os.environ | threads))
            seconds = sorted(found["seconds"][WARM:])
            rounds[side].append(seconds[len(seconds) // 2])
            first[side] = found["losses"][0]
    assert abs(first["ours"] - first["torch"]) < 0.1 * math.log(CLASSES), f"losses start unlike: {first}"
    fastest = {side: min(times) for side, times in rounds.items()}
    return {"case": {"steps": steps, "threads": args.threads}, "first_loss": first, "rounds": rounds,
            "seconds": fastest, "ratios": {"torch_over_ours": fastest["torch"] / fastest["ours"]}}


def said(command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, **more).stdout.strip()


def environment():
    named = os.environ.get("EVAL_PYTHON")
    python = Path(named) if named else BENCH / "venv" / "bin" / "python"
    if not python.exists():
        venv.create(BENCH / "venv", with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "numpy", "torch"], check=True)
    return str(python)


def torch_side(model, steps, threads):
    import time

    import torch
    from torch import nn
    from torch.nn import functional as F

    torch.set_num_threads(threads)
    torch.manual_seed(0)

    class Towers(nn.Module):
        def __init__(self):
            super().__init__()
            tower = lambda: nn.Sequential(nn.Linear(WIDTH, 256), nn.GELU(), nn.Linear(256, 128))
            self.image, self.text = tower(), tower()
            self.scale = nn.Parameter(torch.tensor(1 / 0.07).log())

        def forward(self, images, texts):
            images, texts = F.normalize(self.image(images), dim=1), F.normalize(self.text(texts), dim=1)
            return self.scale.clamp(0, math.log(100)).exp() * images @ texts.T

    class Cnn(nn.Module):
        def __init__(self):
            super().__init__()
            convolution = lambda a, b: nn.Conv2d(a, b, 3, stride=2, padding=1)
            self.convolutions = nn.ModuleList([convolution(3, 16), convolution(16, 32), convolution(32, 64)])
            self.last = nn.Linear(64, CLASSES)

        def forward(self, x):
            x = x.view(-1, 3, SIDE, SIDE)
            for convolution in self.convolutions:
                x = F.gelu(convolution(x))
            return self.last(x.mean((2, 3)))

    table = lambda width: torch.rand(SAMPLES, width) - 0.5
    batch = 128 if model == "cnn" else 512
    own = torch.arange(SAMPLES) % CLASSES
    images = table(3 * SIDE * SIDE if model == "cnn" else WIDTH)
    if model == "projections":
        texts, net, diagonal = table(WIDTH), Towers(), torch.arange(batch)

        def loss_of(rows):
            logits = net(images[rows], texts[rows])
            return (F.cross_entropy(logits, diagonal) + F.cross_entropy(logits.T, diagonal)) / 2
    else:
        net = Cnn() if model == "cnn" else nn.Sequential(nn.Linear(WIDTH, 256), nn.GELU(), nn.Linear(256, CLASSES))
        loss_of = lambda rows: F.cross_entropy(net(images[rows]), own[rows])
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.01)
    seconds, losses, order = [], [], torch.randperm(SAMPLES)
    for step in range(steps):
        start = time.perf_counter()
        first = step * batch % SAMPLES
        optimizer.zero_grad()
        loss = loss_of(order[first:first + batch])
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"seconds": seconds, "losses": losses}))


if __name__ == "__main__":
    main()
