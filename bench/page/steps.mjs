/** What a visitor does, as far as the measurements and pictures need it. */

/** Of the embedded model, its first two layers: enough for what the page looks like, and sooner done. */
export const shortenModel = (page) =>
  page.route("**/demo/prose-6m/config.json", async (route) => {
    const config = await (await route.fetch()).json();
    await route.fulfill({ json: { ...config, num_hidden_layers: 2 } });
  });

const press = (page, name) => page.getByRole("button", { name, exact: true }).click();

export async function chooseEmbedded(page) {
  await press(page, "Use the embedded prose-6m");
  await page.getByText("prose-6m", { exact: true }).waitFor();
}

/** @returns seconds */
export async function fold(page, { keep, method = "anchored", windows }) {
  const started = performance.now();
  const label = method === "anchored" ? keep : `${keep}, ${method}`;
  await page.getByLabel("Calibration windows").selectOption(windows);
  await page.getByLabel("Cache to keep").selectOption(keep);
  await page.getByLabel("Method").selectOption(method);
  await press(page, "Fold");
  await page.getByText(new RegExp(`^Folded to ${label} in`)).waitFor();
  await page.getByRole("combobox", { name: "Folded to" }).selectOption(label);
  return (performance.now() - started) / 1000;
}

export async function measure(page, label) {
  await press(page, "Measure both");
  await page.getByText(new RegExp(`folded to ${label} .* times`)).waitFor();
}

/** @returns seconds until the first token of the original, which loads both models */
export async function firstToken(page) {
  const started = performance.now();
  await press(page, "Continue both");
  const text = page.locator(".continuation").first();
  await page.waitForFunction((element) => element.textContent.length > 1, await text.elementHandle());
  return (performance.now() - started) / 1000;
}

export async function awaitAnswers(page) {
  await page.getByText("The two texts agree").waitFor();
  await page.locator("button:has-text('Stop'):disabled").waitFor();
}
