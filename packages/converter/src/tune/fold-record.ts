import { z } from "zod";
import { ConverterError } from "../converter-error.js";
import type { FoldPlan } from "../plan/fold-plan.js";

const side = z.object({
  span: z.number().int(),
  heads: z.number().int().positive(),
  rank: z.number().int().positive(),
});

/** What is read of a plan is checked; the rest is as `planFold` wrote it. */
const schema = z.looseObject({
  format: z.literal("kvfold-1"),
  plan: z.looseObject({
    method: z.string(),
    maxPositions: z.number().int().positive(),
    layers: z.array(z.object({ keys: side, values: side })).nonempty(),
    formats: z.array(z.enum(["onnx", "hf", "gguf"])).nonempty(),
    dtypes: z.array(z.enum(["fp32", "fp16", "q4", "q8"])).nonempty(),
    attention: z.enum(["group-query", "plain", "delta"]),
  }),
});

/** What `kvfold.json` says of a folded model. */
export interface FoldRecord {
  readonly plan: FoldPlan;
  /** All fields, those of the plan among them. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/**
 * Reads a `kvfold.json`.
 *
 * @throws {ConverterError} `unsupported-model` when there is none, or it is of another version of kvfold.
 */
export function readFoldRecord(folder: string, text: string | undefined): FoldRecord {
  const refuse = (problem: string, cause?: unknown): never => {
    throw new ConverterError("unsupported-model", `${folder}: ${problem}`, { cause });
  };
  if (text === undefined) return refuse("it has no kvfold.json; name a folder that kvfold fold wrote");
  try {
    const fields = schema.parse(JSON.parse(text));
    return { plan: fields.plan as unknown as FoldPlan, fields };
  } catch (cause) {
    return refuse("its kvfold.json is damaged or of another version of kvfold; fold the model again", cause);
  }
}
