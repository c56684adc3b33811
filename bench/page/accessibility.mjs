/** What automatic checks find on the page as it is now. */
import axe from "axe-core";

/** Findings of axe-core, one line for each element. */
export async function axeFindings(page) {
  await page.evaluate(axe.source);
  const { violations, passes } = await page.evaluate(() => globalThis.axe.run());
  const findings = violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id} (${help}): ${target.join(" ")}: ${failureSummary}`),
  );
  return { findings, rules: passes.length + violations.length };
}

const TARGET = 44;

/** Controls that a finger misses: less than 44 pixels wide or high. */
export const smallTargets = (page) =>
  page.evaluate((least) => {
    const controls = document.querySelectorAll(
      "button, select, textarea, summary, .button, input:not(.visually-hidden)",
    );
    return [...controls]
      .filter((control) => control.checkVisibility())
      .map((control) => ({ control, box: control.getBoundingClientRect() }))
      .filter(({ box }) => box.width < least || box.height < least)
      .map(
        ({ control, box }) =>
          `${control.tagName} "${control.textContent.trim().slice(0, 40)}": ${box.width} x ${box.height}`,
      );
  }, TARGET);

/** Pixels by which the page is wider than its window. */
export const overflow = (page) =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
