import { join } from "node:path";
import { createCase } from "./create-case.js";
import { tryCase } from "./try-case.js";

/** A child process: tries cases one after the other and tells its parent how each ended. */
const [seed, first, end, folder] = process.argv.slice(2) as [string, string, string, string];
process.send!({});

for (let index = Number(first); index < Number(end); index++) {
  const created = createCase(Number(seed), index);
  const { outcome, detail, text } = await tryCase(created, join(folder, "MODEL"));
  const peakBytes = process.resourceUsage().maxRSS * 1024;
  process.send!({
    end: index,
    kind: created.kind,
    mutation: created.mutation,
    outcome,
    detail,
    text,
    peakBytes,
  });
}
process.disconnect();
