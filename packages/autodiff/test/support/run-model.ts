import type { DataType } from "@kvfold/onnx";
import * as ort from "onnxruntime-node";

/** Numbers in the shape of a tensor, whatever the type that a graph holds them in. */
export interface Numbers {
  readonly dims: readonly number[];
  readonly data: readonly number[];
}

/** A value to feed. */
export interface Feed extends Numbers {
  readonly type: DataType;
}

/** Values as they are fed, all of one type. */
export const feedsOf = (
  values: Readonly<Record<string, Numbers>>,
  type: DataType,
): Readonly<Record<string, Feed>> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, { type, ...value }]));

/** Runs a model again and again. */
export interface Runner {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  run(feeds: Readonly<Record<string, Feed>>): Promise<Record<string, Numbers>>;
  release(): Promise<void>;
}

export declare namespace openModel {
  interface Options {
    readonly externalData?: readonly { readonly path: string; readonly data: Uint8Array }[];
    /** Where ONNX Runtime writes the graph that it runs. */
    readonly optimizedModelFilePath?: string;
  }
}

export async function openModel(
  bytes: Uint8Array,
  { externalData = [], optimizedModelFilePath }: openModel.Options = {},
): Promise<Runner> {
  const session = await ort.InferenceSession.create(bytes, {
    externalData: [...externalData],
    intraOpNumThreads: 1,
    // Further optimisations fuse operators of float64 into some that it has in float32 alone.
    graphOptimizationLevel: "basic",
    logSeverityLevel: 3,
    ...(optimizedModelFilePath && { optimizedModelFilePath }),
  });
  return {
    inputNames: session.inputNames,
    outputNames: session.outputNames,
    async run(feeds) {
      const tensors = session.inputNames.map((name) => [name, tensorOf(feeds[name]!)] as const);
      const outputs = await session.run(Object.fromEntries(tensors));
      return Object.fromEntries(
        Object.entries(outputs).map(([name, { dims, data }]) => [
          name,
          { dims, data: Array.from(data as unknown as ArrayLike<number | bigint>, Number) },
        ]),
      );
    },
    release: () => session.release(),
  };
}

/** Runs a model once. */
export async function runModel(
  bytes: Uint8Array,
  feeds: Readonly<Record<string, Feed>>,
  options?: openModel.Options,
): Promise<Record<string, Numbers>> {
  const model = await openModel(bytes, options);
  try {
    return await model.run(feeds);
  } finally {
    await model.release();
  }
}

function tensorOf({ type, dims, data }: Feed): ort.Tensor {
  switch (type) {
    case "float64":
      return new ort.Tensor("float64", Float64Array.from(data), dims);
    case "int64":
      return new ort.Tensor("int64", BigInt64Array.from(data, BigInt), dims);
    case "int32":
      return new ort.Tensor("int32", Int32Array.from(data), dims);
    case "bool":
      return new ort.Tensor("bool", Uint8Array.from(data), dims);
    default:
      return new ort.Tensor("float32", Float32Array.from(data), dims);
  }
}
