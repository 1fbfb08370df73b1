"""The report of a run, as a browser without a network shows it."""

import io
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from PIL import Image

from pipelines.wildlife.report_page.counting import FigureCounter
from pipelines.wildlife.report_page.render import render_page
from tests.support.chromium import CHROMIUM, Page, open_page
from tests.support.wildlife_sightings import make_crop, make_report, make_sightings

_HOSTILE = '<img src=x onerror="document.title=1">'


def _written(folder: Path) -> str:
    """Write a page whose names are hostile, and return its address."""
    counter = FigureCounter(ZoneInfo("Europe/Stockholm"))
    for row, timeline in make_sightings():
        counter.add(row, timeline)
    figures = counter.figures()
    crops = {each.crop_uri: make_crop(each.species, n) for n, each in enumerate(figures.samples)}
    report = make_report(run_id=_HOSTILE, warnings=[_HOSTILE])
    path = folder / "report.html"
    path.write_text(render_page(report, figures, {}, crops), encoding="utf-8")
    return path.as_uri()


@CHROMIUM
@pytest.mark.asyncio
async def test_a_browser_without_a_network_shows_everything(tmp_path: Path) -> None:
    """Nothing is fetched, nothing smuggled in is run, and script, phone and printer are served."""
    address = _written(tmp_path)

    async with open_page() as page:
        await page.load(address)

        assert page.troubles() == []
        assert [each for each in page.requests() if not each.startswith("data:")] == [address]
        assert _HOSTILE in await page.ask("document.querySelector('.warnings li').textContent")
        await _check_drawings(page)
        await _check_script(page)
        await _check_phone(page)
        assert (await page.print_pdf()).startswith(b"%PDF")
        await _check_without_script(page, address)


async def _check_drawings(page: Page) -> None:
    counts = {
        ".species tbody tr": 9,
        ".hours tbody tr": 9,
        ".hours tbody td": 9 * 24,
        ".clock": 6,
        ".map .place": 5,
        ".crops img": 24,
    }
    found = {what: await page.ask(f"document.querySelectorAll('{what}').length") for what in counts}
    assert found == counts
    assert await page.ask("[...document.images].every(each => each.naturalWidth > 0)")
    shot = Image.open(io.BytesIO(await page.screenshot()))
    colours = shot.convert("RGB").getcolors(1 << 24) or []
    assert len(colours) > 500, "sky, ridge and text have many colours; an empty page has one"


async def _check_script(page: Page) -> None:
    """One species can be singled out, and the table sorted."""
    await page.ask("document.querySelector('[data-choice=lynx]').click()")
    assert await page.ask("document.querySelectorAll('.species tr.dim').length") == 8
    await page.ask("document.querySelector('[data-choice=\"\"]').click()")
    assert await page.ask("document.querySelectorAll('.dim').length") == 0
    first = "document.querySelector('.species tbody tr').dataset.species"
    await page.ask("document.querySelectorAll('.species thead button')[4].click()")
    assert await page.ask(first) == "moose", "the most certain comes first"


async def _check_phone(page: Page) -> None:
    """Nothing sticks out at the side of a narrow screen, in the dark as well."""
    await page.call(
        "Emulation.setDeviceMetricsOverride",
        width=360,
        height=740,
        deviceScaleFactor=1,
        mobile=True,
    )
    await page.call(
        "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}]
    )
    assert await page.ask("document.documentElement.scrollWidth") == 360
    ground = await page.ask("getComputedStyle(document.body).backgroundColor")
    assert max(map(int, ground.removeprefix("rgb(").removesuffix(")").split(","))) < 64


async def _check_without_script(page: Page, address: str) -> None:
    """Who forbids scripts misses a convenience, and no figure."""
    await page.call("Emulation.setScriptExecutionDisabled", value=True)
    await page.load(address)
    document = await page.call("DOM.getDocument", depth=0)
    root = document["root"]["nodeId"]
    rows = await page.call("DOM.querySelectorAll", nodeId=root, selector=".species tbody tr")
    chips = await page.call("DOM.querySelectorAll", nodeId=root, selector=".chips button")
    assert (len(rows["nodeIds"]), chips["nodeIds"]) == (9, [])
