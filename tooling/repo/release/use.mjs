/** A new user's program: folds a model, writes it, and lets it write. Runs in the project that try-release.mjs makes. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { fold } from "@kvfold/converter/node";
import { createCausalLM, generate } from "@kvfold/runtime";
import { nodeProvider } from "@kvfold/runtime-node";

const [model, folded, ...packages] = process.argv.slice(2);

for (const name of packages) {
  const { exports } = JSON.parse(readFileSync(`node_modules/${name}/package.json`, "utf8"));
  for (const [path, target] of Object.entries(exports)) {
    // Scripts of threads, and what needs a browser, are files alone.
    if (typeof target === "string" || /worker|package\.json/.test(path) || name.endsWith("-web")) continue;
    assert.ok(
      Object.keys(await import(`${name}${path.slice(1)}`)).length > 0,
      `${name}${path.slice(1)} is empty`,
    );
  }
}

const windows = [0, 1].map((start) => Int32Array.from({ length: 32 }, (_, index) => 3 + 7 * index + start));
const { plan } = await fold({ from: model, to: folded, keep: "1/2", windows });
assert.equal(2 * plan.cacheBytesPerToken.after, plan.cacheBytesPerToken.before);

for (const graph of ["model.onnx", "model_delta.onnx"]) {
  const session = await nodeProvider().createSession({ path: `${folded}/onnx/${graph}` });
  const written = [];
  for await (const token of generate(createCausalLM(session), [1, 5, 9], { maxNewTokens: 4 }))
    written.push(token);
  assert.equal(written.length, 4);
  await session.dispose();
}
