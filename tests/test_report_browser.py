"""The report in a real browser, as wide as a phone's and as a desk's."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage

from graspgap.evaluation.film import FilmFacts, webp
from graspgap.evaluation.gallery import FilmRow, Gallery, Shown
from graspgap.evaluation.guide import Cost
from graspgap.evaluation.report import GridRow, ImageGrid, ReportInput, build_report
from test_report import full_input, study

pytestmark = pytest.mark.skipif(not shutil.which("chromium"), reason="needs Chromium on PATH")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
]
LONG = "randomized-graspgan+consistency+a_method_with_a_name_that_no_phone_is_wide_enough_for"
PROBE = """<script>addEventListener("load", () => {
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), sizes = [];
  while (texts.nextNode()) {
    const parent = texts.currentNode.parentElement;
    if (texts.currentNode.data.trim() && !parent.closest("script")) {
      sizes.push(parseFloat(getComputedStyle(parent).fontSize));
    }
  }
  const box = element => element.getBoundingClientRect(), all = name => [...document.querySelectorAll(name)];
  const out = name => all(name).filter(e => !e.closest(".scroll") && box(e).right > innerWidth).length;
  const found = {
    window: innerWidth, page: document.documentElement.scrollWidth, smallest: Math.min(...sizes),
    images: all("img").length, undecoded: all("img").filter(image => !image.naturalWidth).length,
    culprits: all("body *").filter(e => !e.closest(".scroll") && box(e).right > innerWidth)
      .map(e => `${e.tagName}.${e.className}: ${e.textContent.slice(0, 40)}`).slice(0, 5),
    cut: out("p, li, h1, h2, h3, h4, figcaption"), wide: out("figure > img"),
    scrolling: all(".scroll").filter(element => element.scrollWidth > element.clientWidth).length,
  };
  parent.postMessage(JSON.stringify(found), "*");
})</script>"""
FRAME = """<!doctype html><body style="margin: 0"><script>
addEventListener("message", event => document.body.setAttribute("data-found", event.data));
</script><iframe src="probed.html" style="border: 0; width: WIDTHpx; height: 900px"></iframe></body>"""
"""Chromium's windows are no narrower than 500 pixels."""


def everything() -> ReportInput:
    """Everything that a report can hold, with names that are too long."""
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    film = Shown(FilmFacts(17, 3, True, "everyday-test-007", (0.4, 0.7)), webp([picture.repeat(8, 0).repeat(8, 1)] * 2))
    whole = full_input()
    results = [*study(), replace(study()[2], arm=LONG, ingredients=["simulation", "dann"])]
    return replace(
        whole,
        title=f"graspgap: {LONG}",
        results=results,
        costs={(LONG, 0.0): Cost(30.0, 400.0)},
        galleries=[Gallery(LONG, "Film caption", [FilmRow("Successes", [film] * 6), FilmRow("Failures", [film])])],
        grids=[ImageGrid(f"Grid of {LONG}", "Grid caption", [GridRow("simulation", [picture] * 12)])],
        timings={LONG: 7260.0},
        warnings=[f"policies/{LONG}-seed0 was not filmed."],
        selection=[["score", "runs", "Spearman"], [LONG, "12", "0.5 (-0.1 to 0.9)"]],
    )


@dataclass(frozen=True)
class Visit:
    """What a browser says of a page."""

    found: dict[str, Any]
    console: list[str]


def browse(page: Path, width: int, profile: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Open a page in a window of this width."""
    command = ["chromium", *FLAGS, f"--user-data-dir={profile}", f"--window-size={width},900", *more, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)


def visit(page: Path, width: int, folder: Path) -> Visit:
    """Open the page as it is, for what it complains of, and in a frame of this width with a script that measures it."""
    plain = browse(page, width, folder / "plain", "--dump-dom")
    text = page.read_text()
    probed = folder / "probed.html"
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert policy in text
    probed.write_text(
        text.replace(policy, f"{policy}; script-src 'unsafe-inline'").replace("</body>", f"{PROBE}</body>")
    )
    frame = folder / "frame.html"
    frame.write_text(FRAME.replace("WIDTH", str(width)))
    dom = browse(frame, width, folder / "measured", "--dump-dom", "--virtual-time-budget=3000").stdout
    match = re.search(r'data-found="([^"]*)"', dom)
    assert match, dom[-2000:]
    return Visit(json.loads(unescape(match[1])), [line for line in plain.stderr.splitlines() if "CONSOLE" in line])


@pytest.mark.parametrize("width", [390, 1200])
def test_the_report_fits_the_window_and_shows_every_picture(tmp_path: Path, width: int) -> None:
    page = build_report(everything(), tmp_path)
    seen = visit(page, width, tmp_path)
    assert seen.console == []
    assert seen.found["window"] == width
    assert seen.found["culprits"] == []
    assert seen.found["page"] <= width
    assert seen.found["images"] > 20
    assert seen.found["undecoded"] == 0
    assert seen.found["smallest"] >= 14
    assert seen.found["cut"] == seen.found["wide"] == 0
    assert seen.found["scrolling"] > 0  # tables and pictures that are wider than the page scroll in their boxes


def test_the_browser_would_tell_of_what_the_page_may_not_do(tmp_path: Path) -> None:
    page = build_report(ReportInput("A run"), tmp_path)
    wide = (
        '<img src="data:image/png;base64,AAAA"><p style="width: 3000px; font-size: 9px">x</p><script>1</script></body>'
    )
    page.write_text(page.read_text().replace("</body>", wide))
    seen = visit(page, 390, tmp_path)
    assert any("script" in line for line in seen.console)
    assert seen.found["page"] > 390
    assert (seen.found["undecoded"], seen.found["smallest"]) == (1, 9)
    assert seen.found["cut"] == 1


def test_a_screenshot_of_the_report_is_no_blank_page(tmp_path: Path) -> None:
    page = build_report(everything(), tmp_path)
    browse(page, 390, tmp_path / "profile", f"--screenshot={tmp_path / 'shot.png'}")
    shot = PillowImage.open(tmp_path / "shot.png").convert("RGB")
    assert shot.width == 390
    assert len(np.unique(np.asarray(shot).reshape(-1, 3), axis=0)) > 100
