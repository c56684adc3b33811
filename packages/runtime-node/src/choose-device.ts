import { RuntimeError } from "@kvfold/runtime";
import { type ExecutionProvider, supportedProviders } from "./execution-provider.js";
import type { FloatType } from "./memory-graphs.js";
import { importOrt, type OrtNode } from "./ort-node.js";
import { probe } from "./probe.js";

/** A device that runs graphs here, and why it is this one. */
export interface DeviceChoice {
  readonly device: ExecutionProvider;
  /** A sentence to show to the user. */
  readonly reason: string;
}

export declare namespace chooseDevice {
  interface Options {
    /** The `onnxruntime-node` module; imported when left out. */
    readonly ort?: OrtNode | undefined;
    /** What the device must compute with; `float32` by default. */
    readonly type?: FloatType | undefined;
  }
}

/**
 * Chooses what is to run models in this process, and makes sure that it does by running a small graph on it: a GPU that the package
 * knows need not be there.
 *
 * @param wanted - A device, or `auto` for the first GPU that works, else the CPU.
 * @throws {RuntimeError} `invalid-argument` for a device that the package does not have, `session-failed` for one that does
 *   not work or does not compute with `type`; both say which ones there are. `runtime-missing`.
 *
 * @example
 * ```ts
 * import { chooseDevice, nodeProvider } from "@kvfold/runtime-node";
 *
 * const { device } = await chooseDevice("cpu");
 * device // => "cpu"
 * const provider = nodeProvider({ executionProviders: [device] });
 * ```
 */
export async function chooseDevice(
  wanted: ExecutionProvider | "auto" = "auto",
  { ort: given, type = "float32" }: chooseDevice.Options = {},
): Promise<DeviceChoice> {
  const ort = given ?? (await importOrt());
  const known = supportedProviders(ort);
  if (wanted === "auto") return firstThatWorks(ort, known, type);
  if (!known.includes(wanted)) {
    throw new RuntimeError(
      "invalid-argument",
      `device: expected one of ${known.join(", ")}, which this onnxruntime-node has, found ${wanted}`,
    );
  }
  const failure = await probe(ort, wanted, type);
  if (failure === undefined) return { device: wanted, reason: `${wanted}, as asked for` };
  throw new RuntimeError(
    "session-failed",
    `device: ${wanted} does not run ${type} graphs here (${failure}); onnxruntime-node has ${known.join(", ")}: use another, or auto`,
  );
}

async function firstThatWorks(
  ort: OrtNode,
  known: readonly ExecutionProvider[],
  type: FloatType,
): Promise<DeviceChoice> {
  for (const device of known.filter((name) => name !== "cpu")) {
    if ((await probe(ort, device, type)) === undefined)
      return { device, reason: `${device}, the first GPU that runs ${type} graphs here` };
  }
  return { device: "cpu", reason: "cpu, since no GPU works here" };
}
