"""The book's chapter and the notebooks do what they say."""

import contextlib
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
