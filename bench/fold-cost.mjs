/**
 * Calibration plus folding of prose-27m as a ratio to one plain forward of the exported whole model over the same
 * windows, in one process, interleaved.
 * `node bench/fold-cost.mjs [--windows 128] [--repeats 3] [--methods paper] [--heals both] [--keep 1/4]`
 */
import { join } from "node:path";
import { findMethod } from "@kvfold/converter";
import { createCausalLM } from "@kvfold/runtime";
import { machine, modelFolder, textOption } from "./paths.mjs";
import {
  calibrationWindows,
  fold,
  median,
  option,
  provider,
  seconds,
  withTemporaryFolder,
} from "./support.mjs";

const model = modelFolder("prose-27m");
const windows = await calibrationWindows(option("windows", 128));
const methods = textOption("methods", "svd-a,paper,latent,anchored").split(",");
/** Of the methods that heal unless told otherwise. */
const heals = textOption("heals", "none,both").split(",");
const keep = textOption("keep", "1/4");

await withTemporaryFolder(async (folder) => {
  await fold(model, join(folder, "whole"), { keep: "1" });
  const session = await provider.createSession({ path: join(folder, "whole", "onnx", "model.onnx") });
  const whole = createCausalLM(session, { prefillChunk: 1024 });
  const forward = async () => {
    for (const window of windows) await whole.forward(window);
  };
  const cases = methods.flatMap((method) =>
    (findMethod(method).heal === undefined ? ["none"] : heals).map((heal) => ({ method, heal })),
  );
  const ratios = new Map(cases.map((one) => [one, []]));
  for (let repeat = 0; repeat < option("repeats", 3); repeat++) {
    for (const one of cases) {
      const plain = await seconds(forward);
      const folding = await seconds(() => fold(model, join(folder, "folded"), { keep, ...one }, { windows }));
      ratios.get(one).push(folding / plain);
      console.error(
        `${one.method}, heal ${one.heal}: fold ${folding.toFixed(1)} s, forward ${plain.toFixed(1)} s`,
      );
    }
  }
  await session.dispose();
  console.log(`prose-27m to ${keep}, ${windows.length} windows of 1024; ${machine()}`);
  for (const [{ method, heal }, values] of ratios) {
    console.log(
      `${method}, heal ${heal}: calibration + folding is ${median(values).toFixed(2)} x one forward (${values.map((v) => v.toFixed(2)).join(", ")})`,
    );
  }
});
