import {
  bytesSource,
  encodeFloats,
  parseHeader,
  readFloats,
  serializeSafetensors,
} from "@kvfold/safetensors";
import { type AdamMoments, newMoments } from "./adam.js";
import { type Adapter, type Parameter, parametersOf } from "./adapters.js";
import { isListOf, isNumber, isRecord, isText, readJson } from "./read-json.js";
import { TuningError } from "./tuning-error.js";

/** What goes on from a step: with the parameters themselves, all that the next steps depend on. */
export interface TrainingState {
  /** Steps that were taken. */
  step: number;
  /** Of each parameter, over all layers. */
  readonly moments: readonly AdamMoments[];
  /** Mean loss of each step. */
  readonly losses: number[];
  /** Held-out losses, with the step that each was measured after. */
  readonly heldOut: { readonly step: number; readonly loss: number }[];
  /** Parameters of the best held-out loss. */
  best: readonly Float32Array[] | undefined;
}

export const allParameters = (adapters: readonly (readonly Adapter[])[]): readonly Parameter[] =>
  adapters.flatMap(parametersOf);

export const newState = (adapters: readonly (readonly Adapter[])[]): TrainingState => ({
  step: 0,
  moments: allParameters(adapters).map(({ values }) => newMoments(values.length)),
  losses: [],
  heldOut: [],
  best: undefined,
});

/** What a state was saved with. */
export type StateIdentity = Readonly<Record<string, string>>;

const FORMAT = "kvfold-tuning-1";

/** A state and the parameters it goes with, as a safetensors file. Equal states give equal bytes. */
export function saveState(
  state: TrainingState,
  adapters: readonly (readonly Adapter[])[],
  identity: StateIdentity,
): Uint8Array {
  const parts = allParameters(adapters).flatMap(({ values }, index) => [
    tensor(`${index}.values`, values),
    tensor(`${index}.mean`, state.moments[index]!.mean),
    tensor(`${index}.square`, state.moments[index]!.square),
    ...(state.best === undefined ? [] : [tensor(`${index}.best`, state.best[index]!)]),
  ]);
  const { step, losses, heldOut } = state;
  return serializeSafetensors(parts, {
    format: FORMAT,
    identity: JSON.stringify(identity),
    progress: JSON.stringify({ step, losses, heldOut }),
  });
}

const tensor = (name: string, values: Float32Array) => ({
  name,
  dtype: "F32" as const,
  shape: [values.length],
  data: encodeFloats(values, "F32"),
});

/**
 * What a file of `saveState` belongs to.
 *
 * @throws {TuningError} `unusable-state` when the bytes are damaged.
 */
export async function readIdentity(bytes: Uint8Array): Promise<StateIdentity> {
  const identity = readJson((await readMetadata(bytes)).identity);
  if (isRecord(identity) && Object.values(identity).every(isText)) return identity as StateIdentity;
  throw unusable("its identity is damaged");
}

/**
 * Reads a state back, and its parameters into `adapters`.
 *
 * @throws {TuningError} `unusable-state` when the bytes are damaged, or belong to adapters of other shapes.
 */
export async function restoreState(
  bytes: Uint8Array,
  adapters: readonly (readonly Adapter[])[],
): Promise<TrainingState> {
  const metadata = await readMetadata(bytes);
  const source = bytesSource(bytes);
  const { tensors } = await parseHeader(source);
  const read = async (name: string, length: number): Promise<Float32Array> => {
    const info = tensors.get(name);
    if (info === undefined || info.shape[0] !== length)
      throw unusable(`expected a tensor ${name} of ${length}`);
    return readFloats(source, info).catch((cause: unknown) => {
      throw unusable(`tensor ${name} cannot be read`, cause);
    });
  };
  const { step, losses, heldOut } = readProgress(metadata.progress);
  const moments: AdamMoments[] = [];
  const best: Float32Array[] = [];
  for (const [index, { values }] of allParameters(adapters).entries()) {
    values.set(await read(`${index}.values`, values.length));
    const mean = await read(`${index}.mean`, values.length);
    moments.push({ mean, square: await read(`${index}.square`, values.length) });
    if (tensors.has("0.best")) best.push(await read(`${index}.best`, values.length));
  }
  return { step, losses, heldOut, moments, best: best.length > 0 ? best : undefined };
}

function readProgress(text: string | undefined): Pick<TrainingState, "step" | "losses" | "heldOut"> {
  const progress = readJson(text);
  if (!isRecord(progress)) throw unusable("its progress is damaged");
  const { step, losses, heldOut } = progress;
  if (!isNumber(step) || !Number.isSafeInteger(step) || step < 0)
    throw unusable(`step: expected a count, found ${JSON.stringify(step)}`);
  if (!isListOf(losses, isNumber) || losses.length !== step)
    throw unusable(`losses: expected ${step} numbers, one for each step`);
  if (!isListOf(heldOut, isHeldOut)) throw unusable("heldOut: expected a list of steps and their losses");
  return { step, losses: [...losses], heldOut: [...heldOut] };
}

const isHeldOut = (value: unknown): value is TrainingState["heldOut"][number] =>
  isRecord(value) && isNumber(value.step) && isNumber(value.loss);

async function readMetadata(bytes: Uint8Array): Promise<Readonly<Record<string, string>>> {
  const { metadata } = await parseHeader(bytesSource(bytes)).catch((cause: unknown) => {
    throw unusable("it cannot be read", cause);
  });
  if (metadata.format === FORMAT && metadata.identity && metadata.progress) return metadata;
  throw unusable("it was not written by this version of kvfold");
}

const unusable = (problem: string, cause?: unknown): TuningError =>
  new TuningError("unusable-state", `the saved state of the tuning cannot be used: ${problem}`, { cause });
