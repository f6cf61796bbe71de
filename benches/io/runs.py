"""`curate run` over millions of rows of scores and ids: where its time goes."""

import shutil
import time

RECIPE = """[pool]
path = "{pool}"

[[stage]]
kind = "score"
column = "clip_l14_similarity_score"

[[stage]]
kind = "fraction"
fraction = 0.3
"""
# What a run writes, in its order, and what is done by the time that it is written.
WRITTEN = [("pool.json", "pool opened, its files digested"), ("stages", "stages"),
           ("subset.parquet", "subset"), ("evidence.parquet", "a reason for every row"),
           ("report.html", "report and explorer"), ("manifest.json", "manifest")]


def measure(run_module, turns):
    """Seconds of each part of a run, and of reading the pool's bytes once."""
    pool = run_module.clip_score_folder(run_module.SHARDS)
    data = run_module.DATA
    recipe, out = data / "run.toml", data / "run"
    recipe.write_text(RECIPE.format(pool=pool))
    command = [run_module.CURATE, "-q", "--threads", run_module.THREADS, "run", recipe, "--out", out]

    def ours():
        shutil.rmtree(out, ignore_errors=True)
        started = time.time()
        seconds, peak, _ = run_module.measured(command)
        return seconds, peak, parts(out, started, seconds)

    def read():
        start = time.perf_counter()
        size = sum(len(path.read_bytes()) for path in pool.iterdir())
        return time.perf_counter() - start, size

    found = run_module.take_turns({"ours": ours, "read": read}, turns)
    middle = sorted(found["ours"], key=lambda turn: turn[0])[turns // 2]
    written = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    return {
        "case": {"rows": run_module.ROWS, "read_mib": found["read"][0][1] / 2**20, "written_mib": written / 2**20,
                 "threads": run_module.THREADS},
        "seconds": {"ours": middle[0], "read": min(turn[0] for turn in found["read"])},
        "peak_mib": {"ours": max(turn[1] for turn in found["ours"])},
        "parts": middle[2],
        "ratios": {},
    }


def parts(out, started, seconds):
    """When each thing was written tells how long it took after the one before."""
    found, before = [], started
    for name, what in WRITTEN:
        place = out / name
        files = [path for path in place.rglob("*") if path.is_file()] if place.is_dir() else [place]
        at = max(path.stat().st_mtime for path in files)
        found.append({"what": what, "seconds": max(0.0, at - before)})
        before = max(before, at)
    return [*found, {"what": "the rest", "seconds": max(0.0, started + seconds - before)}]
