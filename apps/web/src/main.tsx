import { hydrate } from "preact";
import { App } from "./app.js";
import { takeFirstState } from "./first-state.js";
import { startOffline } from "./offline/start-offline.js";
import { followLink } from "./settings/follow-link.js";
import { cancelOnEscape } from "./ui/cancel-on-escape.js";

takeFirstState();
hydrate(<App />, document.querySelector("#app")!);
// After the first rendering, which has to be the one that the build wrote into the page.
followLink();
cancelOnEscape();
performance.mark("usable");
if (import.meta.env.PROD) startOffline();
