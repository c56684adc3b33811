/** What `prerender` runs in Node, with the sources of the page. */
import { h } from "preact";
import { renderToString } from "preact-render-to-string";
import { App } from "../src/app.js";
import { FIRST_STATE_ID } from "../src/first-state.js";
import { calculateFit } from "../src/fit/calculate-fit.js";
import { fitState, readQuestion } from "../src/fit/fit-state.js";

/**
 * The page as it is before anybody touched it, with what fits for the embedded model, and that state for the script.
 *
 * @param config - The text of the embedded model's `config.json`.
 */
export function renderPage(config: string): { readonly page: string; readonly state: string } {
  const question = readQuestion();
  fitState.value = { kind: "done", name: "prose-6m", question, fit: calculateFit(config, question) };
  const json = JSON.stringify(fitState.value).replaceAll("<", "\\u003c");
  return {
    page: renderToString(h(App, null)),
    state: `<script type="application/json" id="${FIRST_STATE_ID}">${json}</script>`,
  };
}
