# SPDX-License-Identifier: Apache-2.0
"""Plans and reports as objects, and as a notebook shows them."""

from __future__ import annotations

import os
from html.parser import HTMLParser
from pathlib import Path

import pytest

import checkpoints
import tessera
from tessera import _tool
from tessera.plan import session_plan


class Tags(HTMLParser):
    """Counts tags; fails where one is closed that is not open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.count: dict[str, int] = {}
        self.attributes: dict[str, dict[str, "str | None"]] = {}

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.open.append(tag)
        self.count[tag] = self.count.get(tag, 0) + 1
        self.attributes[tag] = dict(attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_plan_is_a_table(demo: tessera.Encoder) -> None:
    plan = demo.plan(rows=16)
    assert len(plan) == len(plan.rows) == len(plan.data["ops"]) > 10
    assert plan.data["rows"] == 16 and plan.data["threads"] == 2
    linear = next(row for row in plan.rows if row.kind == "linear")
    assert linear.name == "layer.0.qkv" and linear.shape == "(16,256)x(256,768)"
    assert (
        linear.l1_bytes >= linear.l2_bytes >= linear.bound_bytes > 0 and linear.precision == "fp32"
    )
    assert plan.seconds == pytest.approx(sum(row.seconds for row in plan.rows), rel=0.2)
    table = plan.table().splitlines()
    assert len(table) == len(plan) + 2
    assert table[0].startswith("op ") and table[-1].startswith("total ")
    assert str(plan).startswith("16 rows in 1 sequence") and "layer.3.out" in str(plan)
    assert f"{len(plan)} operations" in repr(plan)


def test_a_plan_is_shown_by_a_notebook(demo: tessera.Encoder) -> None:
    plan = demo.plan(rows=16)
    tags = Tags()
    tags.feed(plan._repr_html_())
    assert tags.open == [] and tags.count["table"] == 1 and tags.count["tr"] == len(plan) + 2


def test_plans_follow_what_the_session_is(demo: tessera.Encoder) -> None:
    with tessera.Encoder(checkpoints.DEMO, precision="int8", threads=1) as small:
        plan = small.plan(rows=16)
        assert plan.data["precision"] == "int8" and plan.data["threads"] == 1
    assert demo.plan(rows=1000).data["rows"] == 1000
    several = demo.plan(rows=64, sequences=4)
    assert several.data["sequences"] == 4
    with tessera.Model(checkpoints.DEMO) as model:
        assert model.plan(rows=64, threads=1).data["threads"] == 1
    own = session_plan(demo.session(("embedding",)), 32)
    assert own.data["ops"] == demo.plan(rows=32).data["ops"]  # of the session that encode() runs
    assert (
        "sequences" not in demo.plan(rows=8)._repr_html_()
        and "in 4 sequences" in several._repr_html_()
    )
    assert own.data["rows"] == 32
    with pytest.raises(ValueError, match="rows: got 0, expected 1"):
        demo.plan(rows=0)
    with pytest.raises(ValueError, match="1000000"):
        session_plan(demo.session(("embedding",)), 1000000)


def test_plans_are_of_what_an_encoder_computes(files: Path) -> None:
    masked = checkpoints.golden_copy("bert-mlm", files / "masked")
    with tessera.Encoder(masked, threads=1) as encoder:
        assert encoder.info.main_output == "logits"
        own = session_plan(encoder.session(("embedding",)), 16)
        assert encoder.plan(rows=16).data["ops"] == own.data["ops"]  # no head
        assert len(encoder.model.plan(rows=16, threads=1)) > 0
        assert encoder.plan(rows=64, sequences=40).data["sequences"] == 40  # beyond 32 of a run


def test_a_plan_of_images() -> None:
    with tessera.Encoder(checkpoints.VISION) as encoder:
        assert len(encoder.plan()) > 10


def test_memory_is_stated_before_it_is_taken(demo: tessera.Encoder) -> None:
    before = tessera.memory_bytes(demo.model, outputs=("embedding",), threads=2, max_rows=64)
    with tessera.Session(demo.model, outputs=("embedding",), threads=2, max_rows=64) as session:
        assert session.memory == before and before.max_rows == 64 and before.arena > 0
    with pytest.raises(ValueError, match="max_rows: got -1"):
        tessera.memory_bytes(demo.model, max_rows=-1)


def test_memory_is_stated(demo: tessera.Encoder) -> None:
    memory = demo.session(("embedding",)).memory
    assert memory.total == memory.weights_packed + memory.weights_mapped + memory.arena
    assert memory.threads == 2
    demo.session(("embedding",)).trim()


needs_tool = pytest.mark.skipif(
    "TESSERA_TOOL" not in os.environ, reason="TESSERA_TOOL names no tool"
)


@needs_tool
def test_a_report_is_a_page(demo: tessera.Encoder, tmp_path: Path) -> None:
    report = demo.report(rows=16, runs=1, title="A <b>title</b>")
    assert report.html.lower().startswith("<!doctype html") and "layer.0.qkv" in report.html
    assert "<b>title</b>" not in report.html
    report.save(tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == report.html
    tags = Tags()
    tags.feed(report._repr_html_())
    assert tags.attributes["iframe"]["srcdoc"] == report.html  # escaped once
    with pytest.raises(ValueError, match="runs: got 0"):
        demo.report(runs=0)


@needs_tool
def test_a_report_is_of_the_directory_that_was_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(checkpoints.DEMO.parent)
    with tessera.Encoder(checkpoints.DEMO.name, threads=1) as encoder:
        monkeypatch.chdir(tmp_path)
        assert "layer.0.qkv" in encoder.report(rows=8, runs=1).html
        with pytest.raises(ValueError, match="title: character 1 is U[+]0000"):
            encoder.report(rows=8, title="a\0b")


@needs_tool
def test_a_report_is_of_the_model_as_it_was_opened() -> None:
    with tessera.Encoder(checkpoints.DEMO, precision="int8", isa="baseline", threads=1) as encoder:
        page = encoder.report(rows=16, is_timed=False, counts_bytes=False).html
    assert "int8" in page and "baseline" in page
    files = {
        name: (checkpoints.DEMO / name).read_bytes()
        for name in ("config.json", "model.safetensors")
    }
    with tessera.Model(files) as model, pytest.raises(NotImplementedError, match="files in memory"):
        model.report()


def test_a_report_asks_the_tool_for_what_was_asked(
    demo: tessera.Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(_tool, "output_of", lambda words: asked.extend(words) or "<page>")
    assert demo.model.report(rows=64, sequences=2, threads=1, runs=3, title="T").html == "<page>"
    flags = ["--rows", "64", "--sequences", "2", "--threads", "1", "--runs", "3", "--title=T"]
    assert asked[:-3] == ["report", "-o", "-", *flags]
    assert asked[-3:] == ["--precision=fp32", "--", str(checkpoints.DEMO)]
    asked.clear()
    demo.report(is_timed=False, counts_bytes=False)  # threads: those of the encoder
    assert asked[3:10] == ["--rows", "128", "--threads", "2", "--no-time", "--bytes", "none"]


def test_a_tool_that_is_not_there_is_said(
    demo: tessera.Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TESSERA_TOOL", "/nowhere/tessera")
    with pytest.raises(LookupError, match="TESSERA_TOOL=/nowhere/tessera"):
        demo.report()


@needs_tool
def test_a_tool_without_its_x_bit_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "tessera"
    copy.write_bytes(Path(os.environ["TESSERA_TOOL"]).read_bytes())
    copy.chmod(0o644)
    monkeypatch.setenv("TESSERA_TOOL", str(copy))
    assert _tool.output_of(["--version"]).startswith("tessera ")
    with pytest.raises(ValueError, match="expected one of the commands"):
        _tool.output_of(["nonsense"])
    with pytest.raises(tessera.TesseraError, match="nowhere"):
        _tool.output_of(["info", "/nowhere"])
