/** The page by keyboard alone. */

/** More stops than the page has. */
const MOST_STOPS = 60;

/**
 * Tab from the top to the end.
 *
 * @returns what has the focus at each stop, and complaints: a focus that cannot be seen, an order that is not the document's
 */
export async function walk(page) {
  await page.evaluate(startAtTop);
  const stops = [];
  const complaints = [];
  for (let index = 0; index < MOST_STOPS; index++) {
    await page.keyboard.press("Tab");
    const stop = await page.evaluate(describeFocus);
    if (stop === undefined) return { stops, complaints };
    if (!stop.visible) complaints.push(`${stop.name}: its focus cannot be seen`);
    if (!stop.inOrder) complaints.push(`${stop.name}: comes after what stands below it`);
    stops.push(stop.name);
  }
  complaints.push(`no end after ${MOST_STOPS} stops: ${stops.at(-1)}`);
  return { stops, complaints };
}

/** Tab until a control with this name has the focus. */
export async function tabTo(page, name) {
  for (let index = 0; index < MOST_STOPS; index++) {
    await page.keyboard.press("Tab");
    if ((await page.evaluate(describeFocus))?.name === name) return;
  }
  throw new Error(`Tab never reaches ${name}`);
}

/** Runs in the page: the next Tab leads to its first control, whatever had the focus before. */
function startAtTop() {
  globalThis.stopBefore = undefined;
  document.body.tabIndex = -1;
  document.body.focus();
  document.body.removeAttribute("tabindex");
  scrollTo(0, 0);
}

/** Runs in the page; nothing where the focus has left the page. */
function describeFocus() {
  const element = document.activeElement;
  if (element === null || element === document.body) {
    globalThis.stopBefore = undefined;
    return undefined;
  }
  const before = globalThis.stopBefore;
  globalThis.stopBefore = element;
  const marked = element.closest(".button") ?? element;
  const { outlineStyle, outlineWidth } = getComputedStyle(marked);
  const label = element.getAttribute("aria-label") ?? element.labels?.[0]?.firstChild?.textContent;
  return {
    name: (label ?? element.textContent).trim(),
    visible: outlineStyle !== "none" && Number.parseFloat(outlineWidth) >= 2,
    inOrder:
      before === undefined ||
      !before.isConnected ||
      Boolean(before.compareDocumentPosition(element) & Node.DOCUMENT_POSITION_FOLLOWING),
  };
}
