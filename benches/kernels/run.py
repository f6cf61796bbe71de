"""Times the kernels' matrix products beside NumPy's (OpenBLAS) on one thread, and writes results.json.

    python3 benches/kernels/run.py

Needs cargo, and a network for `pip install numpy` into a temporary virtual environment. Both sides
take turns, once with AVX-512 where the machine has it and once with AVX2: `CURATE_INSTRUCTIONS` and
`OPENBLAS_CORETYPE` choose. The shapes are the layers of ViT-B/32; a side's number is its best of all
rounds. The peak is that of fused multiply-adds that wait for no memory. OpenBLAS packs its second
matrix anew for each product, as `a @ b` must; ours is packed once, as a network's weights are.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from report import driver  # noqa: E402  beside this folder

BARS = {"avx512_over_sgemm": 0.9, "avx2_over_sgemm": 0.9}
CORES = {"avx512": "SkylakeX", "avx2": "Haswell"}
ROUNDS = 5
NUMPY = """
import json, time, numpy as np
found = {}
for name, n, k, m in [("in_proj", 192, 768, 2304), ("out_proj", 192, 768, 768), ("c_fc", 192, 768, 3072),
                      ("c_proj", 192, 3072, 768), ("square", 1024, 1024, 1024)]:
    a, b = np.random.rand(n, k).astype("f4"), np.random.rand(k, m).astype("f4")
    best, end = float("inf"), time.perf_counter() + 0.3
    while time.perf_counter() < end:
        start = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - start)
    found[name] = 2 * n * k * m / best / 1e9
print(json.dumps(found))
"""


def reenter():
    """Runs this file again inside a temporary environment that has NumPy."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = str(Path(folder) / "bin/python")
        subprocess.run([python, "-m", "pip", "-q", "install", "numpy"], check=True)
        subprocess.run([python, __file__, "--inside"], check=True)


def once(command, **extra):
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1", **extra}
    out = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
    return json.loads(out.stdout)


def best(rounds):
    keys = [key for key, value in rounds[0].items() if isinstance(value, float)]
    return {key: max(round[key] for round in rounds) for key in keys}


def main():
    gflops = driver("curate-kernels", "gflops")
    flags = Path("/proc/cpuinfo").read_text().split()
    names = [name for name, flag in (("avx512", "avx512bw"), ("avx2", "avx2")) if flag in flags]
    ours, theirs = {name: [] for name in names}, {name: [] for name in names}
    for _ in range(ROUNDS):
        for name in names:
            ours[name].append(once([gflops, "0.3"], CURATE_INSTRUCTIONS=name))
            theirs[name].append(once([sys.executable, "-c", NUMPY], OPENBLAS_CORETYPE=CORES[name]))
    ours = {name: best(rounds) for name, rounds in ours.items()}
    theirs = {name: best(rounds) for name, rounds in theirs.items()}
    ratios = {}
    for name in names:
        each = [ours[name][f"multiply_{shape}"] / theirs[name][shape] for shape in theirs[name]]
        ratios[f"{name}_over_sgemm"] = sum(each) / len(each)
        ratios[f"{name}_over_peak"] = ours[name]["multiply_c_fc"] / ours[name]["peak"]
    report = {
        "command": "python3 benches/kernels/run.py",
        "unit": "GFLOP/s on one thread; ratios are ours over theirs, the mean over the shapes",
        "machine": {"arch": platform.machine(), "cores": os.cpu_count(), "load_before": os.getloadavg()[0]},
        "ours": ours,
        "numpy": theirs,
        "ratios": ratios,
        "bars": BARS,
        "passed": {name: ratios[name] >= bar for name, bar in BARS.items() if name in ratios},
    }
    (Path(__file__).parent / "results.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report["ratios"], indent=2))


if __name__ == "__main__":
    main() if "--inside" in sys.argv else reenter()
