import axe, { type AxeResults } from "axe-core";
import type { Page } from "playwright-core";

/** What axe finds on a page as it is now: rules, and the elements that break them. */
export async function violationsOf(page: Page): Promise<readonly (readonly [string, readonly string[]])[]> {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate<AxeResults>("axe.run()");
  return violations.map(({ help, nodes }) => [help, nodes.map(({ html }) => html)]);
}
