import { ConverterError } from "../converter-error.js";
import type { FoldPlan, Format } from "./fold-plan.js";
import type { StoredDtype } from "./stored-dtype.js";

/** What each format can be in. */
const held: Readonly<Record<Format, readonly StoredDtype[]>> = {
  onnx: ["fp32", "fp16", "q4"],
  hf: ["fp32", "fp16"],
  gguf: ["fp32", "fp16", "q8"],
};

/**
 * Rejects formats that can be in none of the dtypes.
 *
 * @throws {ConverterError} `invalid-option`.
 */
export function requireHeldDtypes(formats: readonly Format[], given: readonly StoredDtype[]): void {
  const bare = formats.find((format) => !given.some((dtype) => held[format].includes(dtype)));
  if (bare === undefined) return;
  throw new ConverterError(
    "invalid-option",
    `formats ${bare}: it has ${held[bare].join(", ")}, but dtypes is ${given.join(",")}; add one of the former`,
    { option: "formats" },
  );
}

/** Dtypes of a plan that no file is written in: those that its formats lack, and those beside the one of a checkpoint. */
export function idleDtypes({
  formats,
  dtypes,
}: Pick<FoldPlan, "formats" | "dtypes">): readonly StoredDtype[] {
  const written = formats.flatMap((format) => {
    const able = dtypes.filter((dtype) => held[format].includes(dtype));
    return format === "hf" ? able.slice(0, 1) : able;
  });
  return dtypes.filter((dtype) => !written.includes(dtype));
}
