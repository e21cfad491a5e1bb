"""The HTML report in a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.report.html import HtmlReport, page
from conformance.report.result import to_json
from tests.report.browser import KEYS, Watched, chromium, expect, frame, opened_first
from tests.report.making import PAYLOADS, finder, judged, long_history, malicious, violations

pytestmark = pytest.mark.real
MOST_BYTES = 5_000_000
MOST_ELEMENTS = 5_000
MOST_DRAWN = 12_000  # shapes and texts of one frame: one for each call, and what surrounds them
ID = "rollback.deleted"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    histories = violations()
    HtmlReport(folder, finder(histories))(judged(histories))
    return folder / "report.html"


@pytest.fixture
def watched(browser: Any, report: Path) -> Iterator[Watched]:
    found = Watched(browser, report.as_uri())
    yield found
    assert found.wrong == []
    found.context.close()


def shown(page: Any) -> list[str]:
    ids: list[str] = page.eval_on_selector_all(
        "#requirements .requirement:not([hidden])", "all => all.map(r => r.dataset.id)"
    )
    return ids


def first_failing(report: Path) -> dict[str, Any]:
    result = embedded(report)
    found: dict[str, Any] = next(r for r in result["requirements"] if r["verdict"] == "fail" and r["level"] == "MUST")
    return found


def embedded(report: Path) -> dict[str, Any]:
    """The result that the page holds."""
    text = report.read_text().partition('id="doubletext-result">')[2].partition("</script>")[0]
    value: dict[str, Any] = json.loads(text)
    return value


def opened(page: Any, id: str) -> Any:
    """A requirement, opened; its first timeline."""
    place = page.locator(f'[data-id="{id}"]')
    place.locator("summary").first.click()
    place.locator("canvas").first.wait_for()
    return place


def test_the_page_shows_the_result(watched: Watched, report: Path) -> None:
    result = embedded(report)
    page = watched.page
    for name, n in result["summary"].items():
        assert page.locator(f'[data-count="{name}"]').inner_text() == str(n)
    assert shown(page)
    assert set(shown(page)) == {r["id"] for r in result["requirements"] if r["level"] in ("MUST", "SHOULD")}
    for r in result["requirements"]:
        summary = page.locator(f'[data-id="{r["id"]}"] > summary').inner_text()
        assert f"{r['failed']}/{r['exercised']}" in summary
        assert f"{r['overlap']}/{r['exercised']}" in summary
        assert r["statement"] in summary


def test_filters_are_kept_in_the_url(watched: Watched, browser: Any) -> None:
    page = watched.page
    page.check("input[name=verdict][value=fail]")
    page.check("input[name=level][value=SHOULD]")
    page.fill("input[name=q]", "checkpoint")
    expect(page).to_have_url(re.compile("#.*checkpoint"))  # asked outside the page, whose policy forbids eval
    few = shown(page)
    assert "checkpoint.one-chain" in few
    assert not any(i.startswith("reject.") for i in few)
    assert f"{len(few)} of" in page.locator(".filters output").inner_text()
    again = Watched(browser, page.url)
    assert shown(again.page) == few
    assert again.page.input_value("input[name=q]") == "checkpoint"
    assert again.wrong == []
    again.context.close()
    page.click("button[type=reset]")
    expect(page).not_to_have_url(re.compile("#.*verdict"))
    assert len(shown(page)) > len(few)


def test_the_proof_is_linked_to_the_marks(watched: Watched, report: Path) -> None:
    page = watched.page
    failing = first_failing(report)
    place = opened(page, failing["id"])
    fact = place.locator(".fact").first
    before = place.locator(".where").first.inner_text()
    still = place.locator("canvas").first.screenshot()
    fact.hover()
    frame(page)
    assert place.locator("canvas").first.screenshot() != still
    fact.click()
    expect(fact).to_have_attribute("aria-pressed", "true")
    expect(place.locator(".where").first).not_to_have_text(before, use_inner_text=True)
    expect(page).to_have_url(re.compile("#.*fact="))


def test_zoom_pan_warp_and_pin_by_keyboard_and_their_permalink(watched: Watched, browser: Any, report: Path) -> None:
    page = watched.page
    place = opened(page, first_failing(report)["id"])
    where = place.locator(".where").first
    canvas = place.locator("canvas").first
    canvas.focus()
    whole = where.inner_text()
    page.keyboard.press("+")
    page.keyboard.press("+")
    expect(where).not_to_have_text(whole, use_inner_text=True)
    warped = place.locator("button[title^='Warp']").first
    before = warped.get_attribute("aria-pressed")
    page.keyboard.press("w")
    expect(warped).not_to_have_attribute("aria-pressed", before)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    pinned = place.locator(".pinned").first
    expect(pinned).to_be_visible()
    frame(page)
    said, at = pinned.inner_text(), where.inner_text()
    assert "#" in said
    again = Watched(browser, page.url)
    other = again.page.locator(f'[data-id="{first_failing(report)["id"]}"]')
    other.locator(".pinned").first.wait_for(state="visible")
    expect(other.locator(".pinned").first).to_have_text(said, use_inner_text=True)
    expect(other.locator(".where").first).to_have_text(at, use_inner_text=True)
    assert again.wrong == []
    again.context.close()
    canvas.focus()
    page.keyboard.press("Escape")
    expect(pinned).not_to_be_visible()
    page.keyboard.press("0")
    expect(page).not_to_have_url(re.compile("#.*from="))


def test_hover_drag_and_click(watched: Watched, report: Path) -> None:
    page = watched.page
    place = opened(page, first_failing(report)["id"])
    canvas = place.locator("canvas").first
    canvas.scroll_into_view_if_needed()
    spots = page.evaluate(
        """id => { const c = document.querySelector(`[data-id="${id}"] canvas`), b = c.getBoundingClientRect();
        return [b.left, b.top, b.width, b.height] }""",
        first_failing(report)["id"],
    )
    left, top, width, height = spots
    hit = None
    for y in range(int(top) + 30, int(min(top + height, 880)), 8):
        for x in range(int(left) + 116, int(left + width) - 10, 12):
            page.mouse.move(x, y)
            if place.locator(".tip").first.is_visible():
                hit = (x, y)
                break
        if hit:
            break
    assert hit is not None
    assert "ms" in place.locator(".tip").first.inner_text()
    page.mouse.click(*hit)
    expect(place.locator(".pinned").first).to_be_visible()
    where = place.locator(".where").first
    canvas.focus()
    page.keyboard.press("+")
    frame(page)
    before = where.inner_text()
    page.mouse.move(hit[0], hit[1])
    page.mouse.down()
    page.mouse.move(hit[0] + 60, hit[1], steps=4)
    page.mouse.up()
    expect(where).not_to_have_text(before, use_inner_text=True)


def test_the_records_are_a_table_too(watched: Watched, report: Path) -> None:
    place = opened(watched.page, first_failing(report)["id"])
    place.locator("summary", has_text="Records as a table").first.click()
    rows = place.locator(".more table").first.locator("tbody tr")
    rows.nth(3).wait_for()
    rows.first.locator("button").click()
    expect(place.locator(".pinned").first).to_be_visible()
    place.locator("summary", has_text="As text").first.click()
    expect(place.locator(".more pre").first).to_contain_text("create")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_serious(browser: Any, report: Path, scheme: str, width: int) -> None:
    from axe_playwright_python.sync_playwright import Axe

    watched = Watched(browser, report.as_uri(), width=width, scheme=scheme)
    place = opened(watched.page, first_failing(report)["id"])
    place.locator("summary", has_text="Records as a table").first.click()
    found = Axe().run(watched.page).response["violations"]
    serious = [(v["id"], v["nodes"][0]["html"][:200]) for v in found if v["impact"] in ("serious", "critical")]
    assert serious == []
    overflow = watched.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0
    watched.context.close()


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_malicious_servers_texts_are_shown_and_not_run(browser: Any, tmp_path: Path, payload: str) -> None:
    histories = [malicious(h, payload) for h in violations("re*")]
    outcome = judged(histories)
    assert any(r.verdict == "fail" for r in outcome.results)
    HtmlReport(tmp_path, finder(histories), histories)(outcome)
    file = tmp_path / "report.html"
    watched = Watched(browser, file.as_uri())
    page = watched.page
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    frame(page)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    frame(page)
    page.locator(".more table button").first.click()
    for canvas in page.locator("canvas").all()[:3]:
        canvas.focus()
        page.keyboard.press("End")
        page.keyboard.press("Enter")
    assert page.evaluate("window.pwned === undefined")
    assert page.locator("img, main svg, main script, iframe, a[href^=javascript]").count() == 0
    assert watched.wrong == []
    if payload.isprintable():
        assert payload in page.locator("h1").inner_text()
    watched.context.close()


def test_ten_thousand_calls(browser: Any, tmp_path: Path) -> None:
    """Counted, not timed; the times stand in tests.benchmarks.page. A page stays small until opened."""
    history = long_history(10_000)
    text = page(to_json(judged([history])), finder([history]), [history])
    assert len(text.encode()) <= MOST_BYTES
    file = tmp_path / "long.html"
    file.write_text(text)
    watched = Watched(browser, file.as_uri())
    view = watched.page
    assert view.locator("canvas").count() == 0  # a drawing is made when it is opened
    assert view.evaluate("document.querySelectorAll('*').length") <= MOST_ELEMENTS
    opened_first(view)
    assert view.evaluate("document.querySelectorAll('*').length") <= MOST_ELEMENTS
    frames = view.evaluate(
        """async keys => { const c = document.querySelector('canvas'), took = []; let n = 0;
        const drawing = CanvasRenderingContext2D.prototype;
        for (const name of ['fillRect', 'strokeRect', 'fillText', 'stroke', 'fill']) {
          const drawn = drawing[name];
          drawing[name] = function (...given) { n += 1; return drawn.apply(this, given); };
        }
        for (const key of keys) {
          n = 0;
          c.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));
          await new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)));
          took.push(n); }
        return took; }""",
        KEYS,
    )
    assert 0 < max(frames) <= MOST_DRAWN, frames
    assert watched.wrong == []
    watched.context.close()


def test_what_would_have_been_legal_stands_below_what_was_observed(browser: Any, tmp_path: Path) -> None:
    histories = violations("rollback.deleted-3")
    outcome = judged(histories)
    HtmlReport(tmp_path, finder(histories))(outcome)
    url = (tmp_path / "report.html").as_uri()
    watched = Watched(browser, url)
    place = opened(watched.page, ID)
    assert "get A → 404 instead of #11" in place.locator(".said").first.inner_text()
    assert "would have been legal" in place.locator(".legend").first.inner_text()
    file = re.search(r'"timeline":1.*?</script>', (tmp_path / "report.html").read_text())
    assert file is not None
    marks = len(json.loads(file[0].removesuffix("</script>").join(("{", "")))["marks"])
    watched.context.close()
    pinned = Watched(browser, f"{url}#at={ID}:0&pin={marks}")  # the mark that no record made comes after all others
    said = pinned.page.locator(f'[data-id="{ID}"] .pinned').first.inner_text()
    assert "legal: get A → 404" in said
    assert "interrupted" in said  # what was answered
    assert watched.wrong == pinned.wrong == []
    pinned.context.close()


def test_where_nothing_is_known_to_be_legal_nothing_is_shown(browser: Any, tmp_path: Path) -> None:
    histories = violations("checkpoint.lineage-2")
    HtmlReport(tmp_path, finder(histories))(judged(histories))
    watched = Watched(browser, (tmp_path / "report.html").as_uri())
    place = opened(watched.page, "checkpoint.lineage")
    assert "instead of #" not in place.locator(".said").first.inner_text()
    assert "would have been legal" not in place.locator(".legend").first.inner_text()
    assert watched.wrong == []
    watched.context.close()
