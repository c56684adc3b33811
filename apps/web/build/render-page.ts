/** What `prerender` runs in Node, with the sources of the page. */
import { h } from "preact";
import { renderToString } from "preact-render-to-string";
import { App } from "../src/app.js";

export const renderPage = (): string => renderToString(h(App, null));
