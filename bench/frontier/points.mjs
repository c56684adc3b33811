/** Which caches the frontier is drawn from: folds, policies on them, bits of their numbers, and products of these. */
import { textOption } from "../paths.mjs";

/** Shares of tokens removed that leave 1/2, 1/4, 1/8 and 1/16. */
const SHARES = ["0.5", "0.75", "0.875", "0.9375"];
const removing = (name, shares = SHARES) => shares.map((share) => `${name}:${share}`);

const ON_ANY = ["none", ...removing("keydiff"), ...removing("streaming", SHARES.slice(0, 2))];
/** Policies that look at attention or queries, which joint latents have none of. */
const ON_WHOLE = [
  ...removing("keydiff").map((policy) => `${policy}:sinks=4:recent=64`),
  ...removing("keydiff", SHARES.slice(0, 3)).map((policy) => `${policy}:sinks=4:recent=256`),
  ...removing("snapkv"),
  ...removing("tova", SHARES.slice(0, 2)),
  "expected:0.5",
];
const GRAPHS = {
  float32: "model_policy.onnx",
  int8: "model_policy_int8.onnx",
  int4: "model_policy_int4.onnx",
};

const list = (name, fallback, separator = ",") => textOption(name)?.split(separator) ?? fallback;

/** Policies on a fold, as `parsePolicies` reads them, or `none`. */
const policiesOn = (keep) => list("cache", keep === "1" ? [...ON_ANY, ...ON_WHOLE] : ON_ANY, " ");

const withBits = (policy, bits) =>
  [policy === "none" ? [] : policy, bits === "float32" ? [] : bits].flat().join(",") || "none";

/** Graphs to run, each with the lists of policies that run on it. */
export const graphs = () =>
  list("keeps", ["1", "1/2", "1/4", "1/8"]).flatMap((keep) =>
    list("bits", Object.keys(GRAPHS)).map((bits) => ({
      keep,
      file: GRAPHS[bits],
      caches: policiesOn(keep).map((policy) => withBits(policy, bits)),
    })),
  );
