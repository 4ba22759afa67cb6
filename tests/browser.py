"""Actions on the WebUI's page and on the stand-alone page, whose elements have the same ids."""
import base64
import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

CONTROLS = {"button", "checkbox", "combobox", "listbox", "radio", "slider", "spinbutton", "switch", "tab", "textbox"}
BASE64 = "((bytes) => btoa(bytes.reduce((text, byte) => text + String.fromCharCode(byte), '')))"
"""JavaScript that makes text of a canvas's bytes. A list of a million numbers takes seconds to reach Python."""


def open_inpaint_tab(page, url, image):
    """Opens the WebUI's img2img > Inpaint with an image file."""
    page.goto(url)
    page.wait_for_selector("#img2img_generate", state="attached")
    page.wait_for_function("typeof opts === 'object' && Object.keys(opts).length > 0")
    for tabs, name in (("#tabs", "img2img"), ("#mode_img2img", "Inpaint")):
        page.locator(f"{tabs} > .tab-nav button", has_text=re.compile(f"^ *{name} *$", re.IGNORECASE)).click()
    page.set_input_files("#img2maskimg input[type=file]", image)
    page.wait_for_selector("#img2maskimg canvas")
    page.wait_for_function("document.querySelector('#img2maskimg img')?.naturalWidth > 1")


def set_number(page, elem_id, value):
    number = page.locator(f"#{elem_id} input[type=number]").first
    number.fill(str(value))
    number.press("Tab")


def number_in(page, elem_id):
    return float(page.locator(f"#{elem_id} input[type=number]").first.input_value())


def choose(page, elem_id, label):
    page.locator(f"#{elem_id}").get_by_text(label, exact=True).first.click()


def open_advanced(page):
    page.locator("#softinpaint_advanced .label-wrap").first.click()
    page.locator("#softinpaint_grow").wait_for(state="visible")


def choose_preset(page, name):
    page.locator("#softinpaint_preset input").first.click()
    page.locator("#softinpaint_preset li", has_text=name).click()


def squiggle(page, canvas):
    """Paints a zigzag, as in the guide."""
    stroke(page, canvas, [(0.35, 0.6), (0.42, 0.68), (0.48, 0.6), (0.55, 0.68), (0.6, 0.6)])


def stroke(page, canvas, corners):
    """Paints a line. Corners are shares of the canvas's width and height."""
    page.locator(canvas).first.scroll_into_view_if_needed()
    box = steady_box(page, canvas)
    parts = len(corners) - 1
    across, down = (np.interp(np.linspace(0, parts, 8 * parts + 1), range(len(corners)), values) for values in zip(*corners))
    for step, (x, y) in enumerate(zip(across, down)):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        page.evaluate("() => new Promise(requestAnimationFrame)")  # the canvas draws once a frame
        if step == 0:
            page.mouse.down()
    page.mouse.up()


def steady_box(page, element):
    """The element's box once it has kept its place for a second: a canvas that is being resized loses its paint."""
    boxes = [None]
    while len(boxes) < 6 or any(box != boxes[-1] for box in boxes[-6:]):
        page.wait_for_timeout(200)
        boxes.append(page.locator(element).first.bounding_box())
    return boxes[-1]


def pixels_of(page, canvas):
    """Pixels of a canvas, (H, W, 4) int."""
    width, height, values = page.evaluate(
        "selector => { const canvas = document.querySelector(selector), {width, height} = canvas;"
        f" return [width, height, {BASE64}(canvas.getContext('2d').getImageData(0, 0, width, height).data)]; }}", canvas)
    return pixels_from(values, height, width)


def pixels_from(values, height, width):
    """Pixels, (H, W, 4) int, from what BASE64 has made of them."""
    return np.frombuffer(base64.b64decode(values), np.uint8).astype(int).reshape(height, width, 4)


def nameless_controls(page, selector):
    """Controls within an element that have no name in Chromium's accessibility tree."""
    session = page.context.new_cdp_session(page)
    root = session.send("DOM.getDocument", {"depth": 0})["root"]["nodeId"]
    element = session.send("DOM.querySelector", {"nodeId": root, "selector": selector})["nodeId"]
    nodes = session.send("Accessibility.queryAXTree", {"nodeId": element})["nodes"]
    return [(node["role"]["value"], node["properties"]) for node in nodes
            if not node["ignored"] and node["role"]["value"] in CONTROLS and not node.get("name", {}).get("value", "").strip()]


def serious_findings(page, parts, left_out):
    """Serious and critical findings of axe-core in some parts of a page: the rule and the element's HTML.

    Parameters
    ----------
    parts
        Selectors of the parts. Those that are not on the page are ignored.
    left_out
        Rules with patterns of the HTML of elements that are Gradio's own.
    """
    found = importlib.util.find_spec("axe_playwright_python")
    if found is None:
        pytest.skip("axe-playwright-python is not installed")
    page.evaluate((Path(found.origin).with_name("axe.min.js")).read_text(encoding="utf8"))
    violations = page.evaluate("""async (parts) => (await axe.run(
        {include: parts.filter((part) => document.querySelector(part)).map((part) => [part])},
        {resultTypes: ["violations"]})).violations
        .filter(({impact}) => ["serious", "critical"].includes(impact))
        .flatMap(({id, nodes}) => nodes.map(({html, target}) => [id, `${html} ${target}`]))""", list(parts))
    return [(rule, element) for rule, element in violations
            if not any(rule == each and re.search(pattern, element) for each, pattern in left_out)]


def without_visible_focus(page, selector):
    """Controls within an element that look the same with and without the keyboard's focus, as HTML."""
    page.add_style_tag(content="* {transition: none !important; animation: none !important}")
    page.keyboard.press("Tab")  # from here on, focus comes from the keyboard
    return page.evaluate("""(selector) => {
        const around = (element) => [element, element.parentElement, element.closest("label, .block, .stage")].filter(Boolean);
        const look = (element) => around(element).map((each) => ["", "::after"].map((part) => {
            const style = getComputedStyle(each, part || null);
            return [style.outlineStyle === "none" ? "" : style.outline, style.boxShadow, style.borderColor].join();
        }).join()).join();
        const controls = "button, input, textarea, select, summary, a[href], [tabindex='0']";
        return [...document.querySelectorAll(selector)].flatMap((part) => [...part.querySelectorAll(controls)])
            .filter((element) => element.checkVisibility() && !element.disabled && element.type !== "file")
            .filter((element) => {
                element.blur();
                const before = look(element);
                element.focus({preventScroll: true});
                return document.activeElement === element && look(element) === before;
            }).map((element) => element.outerHTML.slice(0, 200));
    }""", selector)


def cut_texts(page, selector):
    """Labels and buttons within an element whose text does not fit into them or the window, and buttons that overlap."""
    return page.evaluate("""(selector) => {
        const shown = (each) => each.checkVisibility({visibilityProperty: true}) && each.innerText?.trim();
        const all = [...document.querySelectorAll(selector)].flatMap((part) => [...part.querySelectorAll(
            "button, label, summary, h1, h2, h3, th, td, legend, .label-wrap, [data-testid=block-info]")]).filter(shown);
        const textsOf = (each) => {
            const walk = document.createTreeWalker(each, NodeFilter.SHOW_TEXT), rights = [];
            for (let node; (node = walk.nextNode());) {
                const range = document.createRange();
                range.selectNodeContents(node);
                if (/\\p{L}/u.test(node.data)) rights.push(range.getBoundingClientRect().right);
            }
            return Math.max(...rights);
        };
        const cut = all.filter((each) => !each.closest("ol, .wrap .tabs")
            && textsOf(each) > Math.min(each.getBoundingClientRect().right, window.innerWidth) + 1);
        const buttons = all.filter((each) => each.matches("button")), overlap = (one, other) => {
            const [a, b] = [one, other].map((each) => each.getBoundingClientRect());
            return !one.contains(other) && !other.contains(one) && a.left < b.right - 1 && b.left < a.right - 1
                && a.top < b.bottom - 1 && b.top < a.bottom - 1;
        };
        return [...cut, ...buttons.filter((one) => buttons.some((other) => one !== other && overlap(one, other)))]
            .map((each) => `${each.innerText.slice(0, 60)} ${each.scrollWidth}/${each.clientWidth}`);
    }""", selector)
