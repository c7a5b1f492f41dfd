"""Snapshots, clones and archives of VMs by the page's own buttons."""

from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.browser.workbench import Workbench, until


def part(page: Page, vm: str) -> Locator:
    return page.locator(f'section[aria-labelledby="keep-{vm}"]')


def retired(bench: Workbench, vm: str) -> str:
    return bench.card(vm).locator('[data-slot="retired"]').get_attribute("title") or ""


def test_a_snapshot_is_taken_reverted_to_and_undone_and_a_clone_goes_on(page: Page) -> None:
    bench = Workbench(page, "first-virtual-machine")
    bench.press("b", "Run")
    bench.run_for(2)
    bench.open("snapshots")
    of_b = part(page, "b")
    expect(of_b).to_contain_text("nothing to go back to")
    of_b.get_by_role("button", name="Take a snapshot").click()
    expect(of_b.locator(".tree")).to_contain_text("it goes on from here")
    kept = retired(bench, "b")
    bench.run_for(2)
    later = retired(bench, "b")
    assert later != kept

    of_b.get_by_role("button", name="Revert VM b to s1").click()
    page.get_by_role("dialog").get_by_role("button", name="Leave it").click()
    assert retired(bench, "b") == later
    of_b.get_by_role("button", name="Revert VM b to s1").click()
    page.get_by_role("dialog").get_by_role("button", name="Revert").click()
    until(page, lambda: retired(bench, "b") == kept, "the VM as in the snapshot")
    page.get_by_role("button", name="Undo", exact=True).click()
    until(page, lambda: retired(bench, "b") == later, "the VM as before")

    of_b.get_by_label("Name of the clone of VM b").fill("twin")
    of_b.get_by_role("button", name="Clone", exact=True).click()
    expect(bench.card("twin")).to_contain_text("running")
    assert retired(bench, "twin") == later
    of_b.get_by_role("button", name="Delete snapshot s1 of VM b").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(of_b).to_contain_text("nothing to go back to")


def test_a_vm_leaves_as_an_archive_and_comes_back(page: Page, tmp_path: Path) -> None:
    bench = Workbench(page, "first-virtual-machine")
    bench.press("b", "Run")
    bench.run_for(1)
    bench.open("snapshots")
    with page.expect_download() as waiting:
        part(page, "b").get_by_role("button", name="Export").click()
    file = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(file)
    form = page.locator("#import-form")
    form.locator("[type=file]").set_input_files(file)
    form.locator("[name=name]").fill("again")
    form.get_by_role("button", name="Import", exact=True).click()
    expect(bench.card("again")).to_be_visible()
    assert retired(bench, "again") == retired(bench, "b")

    damaged = tmp_path / "damaged.zip"
    damaged.write_bytes(file.read_bytes()[:-100])
    form.locator("[type=file]").set_input_files(damaged)
    form.get_by_role("button", name="Import", exact=True).click()
    expect(page.locator("#snapshots-wrong")).to_contain_text("is no sound zip file")
