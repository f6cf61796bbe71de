"""The book's chapter and the notebooks do what they say."""

import contextlib
import importlib.util
import io
import json
import re

import pytest
from conftest import ROOT

CHAPTER = (ROOT / "docs/src/python.md").read_text()
NOTEBOOKS = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder with the demonstration in it, as in a clone."""
    (tmp_path / "demo").symlink_to(ROOT / "demo")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def carry_out(blocks):
    """Runs blocks of code one after the other in one namespace; returns what they print."""
    told, names = io.StringIO(), {}
    with contextlib.redirect_stdout(told):
        for block in blocks:
            exec(compile(block, "example", "exec"), names)
    return told.getvalue()


def test_the_chapters_examples(workplace):
    blocks = re.findall(r"```python\n(.*?)```", CHAPTER, re.DOTALL)
    assert len(blocks) >= 9
    told = carry_out(blocks)
    assert "semantic-duplicate" in told and "`epsilon` is 2.5" in told
    assert (workplace / "curves.svg").exists() and (workplace / "runs/mine/report.html").exists()


def test_the_chapter_on_ray(workplace, monkeypatch):
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed")
    import ray

    # Not one that somebody else has started here.
    monkeypatch.setenv("RAY_ADDRESS", "local")
    try:
        assert "kept" in carry_out(blocks_of("ray.md"))
    finally:
        ray.shutdown()
    assert (workplace / "plans/mine/run/report.html").exists()


def test_every_name_that_the_chapter_mentions_is_there():
    import curate

    pytest.importorskip("sklearn")  # which curate.KMeans needs
    mentioned = set(re.findall(r"\bcurate\.(\w+)", CHAPTER)) - {"md"}
    assert [name for name in sorted(mentioned) if not hasattr(curate, name)] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks(path, workplace):
    cells = json.loads(path.read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert len(code) >= 3
    assert all(cell["outputs"] == [] for cell in cells if cell["cell_type"] == "code")
    carry_out(code)


def test_there_are_three_notebooks():
    assert len(NOTEBOOKS) == 3


def blocks_of(chapter, language="python"):
    text = (ROOT / "docs/src" / chapter).read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_results_are_read_as_the_book_says(workplace, program):
    program("run", "demo/recipe.toml", "--out", "runs/demo")
    names = {}
    for block in blocks_of("results.md"):
        exec(compile(block, "example", "exec"), names)
    kept = (workplace / "runs/demo/subset.txt").read_text().split()
    assert names["uids"] == kept
    assert names["evidence"].num_rows == names["manifest"]["rows"] - names["manifest"]["kept"]
    assert 0 < names["similar"].num_rows < names["rows"].num_rows


def write_as_img2dataset(folder, pool, count):
    """Shards without `uid`: keys that count, a record with what img2dataset says of a sample."""
    import tarfile

    folder.mkdir()
    for shard, rows in enumerate([range(count // 2), range(count // 2, count)]):
        with tarfile.open(folder / f"{shard:05}.tar", "w") as tar:
            for place, sample in enumerate(pool.samples(list(rows), images=True)):
                key = f"{shard:05}{place:04}"
                record = {"caption": sample.caption, "key": key, "status": "success", "url": f"https://example.org/{key}"}
                members = {"png": sample.image, "json": json.dumps(record).encode(), "txt": sample.caption.encode()}
                for ending, content in members.items():
                    member = tarfile.TarInfo(f"{key}.{ending}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))


def test_the_ten_minutes_from_shards_to_webdataset(workplace, program):
    """The chapter's commands over shards as img2dataset writes them, then its reader over the result."""
    pytest.importorskip("webdataset")
    import hashlib

    import curate

    write_as_img2dataset(workplace / "shards", curate.Pool("demo/pool"), 120)
    text = (ROOT / "docs/src/ten-minutes.md").read_text()
    (workplace / "recipe.toml").write_text(blocks_of("ten-minutes.md", "toml")[0])
    commands = re.findall(r"^    curate (.*)$", text, re.MULTILINE)
    assert len(commands) >= 8
    for command in commands:
        program(*command.split("  #")[0].split())
    names = {"read": []}
    reader = blocks_of("ten-minutes.md")[0]
    reader += "    read.append((sample['__key__'], sample['txt'], sample['png'].size))\n"
    exec(compile(reader, "example", "exec"), names)
    kept = program("subset", "info", "run")
    ids = {key.split("-")[0] for key, _, _ in names["read"]}
    assert f"{len(ids)}" in kept and len(ids) == len(names["read"]) > 0
    of_keys = {hashlib.sha256(f"{shard:05}{place:04}".encode()).hexdigest()[:32] for shard in range(2) for place in range(60)}
    assert ids <= of_keys
    captions = {sample.caption for sample in curate.Pool("shards").samples(list(range(120)))}
    assert all(caption in captions and size == (64, 64) for _, caption, size in names["read"])
