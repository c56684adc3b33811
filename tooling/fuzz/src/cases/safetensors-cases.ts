import { baseModel, modelNames } from "../base-models.js";
import type { Choices } from "../choices.js";
import type { FuzzCase } from "../fuzz-case.js";
import { HOSTILE_VALUES } from "../hostile-values.js";
import { joined, mutateBytes } from "../mutate-bytes.js";
import { jsonPaths, mutateText, pickReplacement, replaceInJson } from "../mutate-json.js";
import {
  joinSafetensors,
  type SafetensorsParts,
  splitSafetensors,
  type TensorEntry,
} from "../safetensors-file.js";

/** The config of a tiny checkpoint beside broken weights. */
export function safetensorsCase(choices: Choices): FuzzCase {
  const model = baseModel(choices.pick(modelNames));
  const [mutation, bytes] = mutateSafetensors(model.weights, choices);
  return {
    attempt: "checkpoint",
    files: new Map<string, string | Uint8Array>([
      ["config.json", JSON.stringify(model.fields)],
      ["model.safetensors", bytes],
    ]),
    mutation: `model.safetensors of ${model.name}: ${mutation}`,
  };
}

/** Breaks a file that is right. */
export function mutateSafetensors(weights: Uint8Array, choices: Choices): readonly [string, Uint8Array] {
  const [name, change] = choices.pick(MUTATIONS);
  return [name, change(weights, choices)];
}

type Mutate = (weights: Uint8Array, choices: Choices) => Uint8Array;

const onParts =
  (change: (parts: SafetensorsParts, choices: Choices) => Uint8Array): Mutate =>
  (weights, choices) =>
    change(splitSafetensors(weights), choices);

const headerField = onParts(({ entries, data }, choices) => {
  const changes = Array.from({ length: 1 + choices.int(2) }, () => {
    const path = choices.pick(jsonPaths(entries, 3));
    return [path, pickReplacement(choices)] as const;
  });
  return joinSafetensors(replaceInJson(entries, changes), data);
});

const HOSTILE_NAMES = [
  "__proto__",
  "constructor",
  "",
  "a".repeat(5000),
  "\u001b[31mred",
  "\u0000",
  "\n",
  "../x",
  "model.layers.1.x",
];
const MORE_NAMES = [
  "model.layers.999.self_attn.q_proj.weight",
  "h.0.new.weight",
  "1.2.3.",
  "lm_head.bias",
  "\u202e\u009b",
];

const addTensors = onParts(({ entries, data }, choices) => {
  const names = [...HOSTILE_NAMES, ...MORE_NAMES];
  const added = Array.from(
    { length: choices.pick([1, 1, 2, 2000]) },
    (_, index) => choices.pick(names) + (index || ""),
  );
  const members = added.map(
    (name) => `${JSON.stringify(name)}:{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`,
  );
  return joinSafetensors(JSON.stringify(entries).replace("{", `{${members.join(",")},`), data);
});

const DTYPES = [
  "F64",
  "F32",
  "F16",
  "BF16",
  "F8_E4M3",
  "F8_E5M2",
  "I64",
  "I32",
  "I16",
  "I8",
  "U8",
  "BOOL",
  "F4",
  "C64",
  "f32",
  "F32 ",
];

/** One tensor as another dtype, with offsets that fit it. */
const otherDtype = onParts((parts, choices) => {
  const name = choices.pick(Object.keys(parts.entries));
  const dtype = choices.pick(DTYPES);
  const width = Number(/\d+/.exec(dtype)?.[0] ?? 8) / 8;
  const size = parts.entries[name]!.shape.reduce((product, dim) => product * dim, 1) * Math.ceil(width);
  const filling = new Uint8Array(size).fill(choices.pick([0, 0x3c, 0x7f, 0xff]));
  return rewrite(parts, (entry, key) =>
    key === name ? { entry: { ...entry, dtype }, bytes: filling } : undefined,
  );
});

/** One tensor in another shape of as many numbers. */
const otherShape = onParts((parts, choices) => {
  const name = choices.pick(Object.keys(parts.entries));
  const reshape = choices.pick<(shape: number[]) => number[]>([
    (shape) => [...shape].reverse(),
    (shape) => [shape.reduce((product, dim) => product * dim, 1)],
    (shape) => [...shape, 1],
    (shape) => [1, ...shape],
    () => [],
  ]);
  return rewrite(parts, (entry, key) =>
    key === name ? { entry: { ...entry, shape: reshape(entry.shape) } } : undefined,
  );
});

const removeTensor = onParts((parts, choices) => {
  const name = choices.pick(Object.keys(parts.entries));
  return rewrite(parts, (_, key) => (key === name ? "removed" : undefined));
});

const swapNames = onParts(({ entries, data }, choices) => {
  const [a, b] = [choices.pick(Object.keys(entries)), choices.pick(Object.keys(entries))];
  return joinSafetensors(JSON.stringify({ ...entries, [a]: entries[b], [b]: entries[a] }), data);
});

const shuffleOffsets = onParts(({ entries, data }, choices) => {
  const copy = structuredClone(entries);
  for (let done = 0; done <= choices.int(3); done++) {
    const entry = copy[choices.pick(Object.keys(copy))]!;
    const shift = choices.pick([1, -1, 4, -4, 0.5, 2 ** 31, 2 ** 53, -(2 ** 31)]);
    entry.data_offsets = choices.pick<[number, number]>([
      [entry.data_offsets[0] + shift, entry.data_offsets[1] + shift],
      [entry.data_offsets[1], entry.data_offsets[0]],
      [entry.data_offsets[0], entry.data_offsets[1] + shift],
      [0, data.length],
      [0, 0],
    ]);
  }
  return joinSafetensors(JSON.stringify(copy), data);
});

const headerLength = onParts(({ entries, data }, choices) => {
  const header = JSON.stringify(entries);
  const lengths = [
    0n,
    1n,
    7n,
    BigInt(header.length - 1),
    BigInt(header.length + 1),
    BigInt(data.length),
    100_000_001n,
  ];
  const length = choices.pick([
    ...lengths,
    99_999_999n,
    2n ** 31n,
    2n ** 32n,
    2n ** 53n,
    2n ** 63n,
    2n ** 64n - 1n,
  ]);
  return joinSafetensors(header, data, length);
});

const headerText = onParts(({ entries, data }, choices) =>
  joinSafetensors(mutateText(JSON.stringify(entries), choices).text, data),
);

const headerBytes = onParts(({ entries, data }, choices) => {
  const bytes = new TextEncoder().encode(JSON.stringify(entries));
  return joinSafetensors(mutateBytes(bytes, bytes.length, choices), data);
});

const metadata = onParts(({ entries, data }, { pick }) =>
  joinSafetensors(JSON.stringify(entries).replace("{", `{"__metadata__":${pick(HOSTILE_VALUES)},`), data),
);

/** Floats that no training leaves: the file is well formed. */
const weightValues: Mutate = (weights, { int, pick }) => {
  const copy = weights.slice();
  const view = new DataView(copy.buffer);
  const { data } = splitSafetensors(weights);
  const value = pick([
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    3.4e38,
    -3.4e38,
    1e-45,
    1e20,
  ]);
  for (let done = 0; done <= int(4); done++)
    view.setFloat32(weights.length - data.length + 4 * int(Math.floor(data.length / 4)), value, true);
  return copy;
};

const extremes: Mutate = (weights, { pick }) => {
  const { data } = splitSafetensors(weights);
  const filling = new Float32Array(Math.floor(data.length / 4)).fill(pick([0, 3.4e38, 1e-40, 1e30]));
  return joined(weights.subarray(0, weights.length - data.length), new Uint8Array(filling.buffer));
};

const replaced: Mutate = (_, { int, pick }) =>
  pick([
    () => new Uint8Array(),
    () => new Uint8Array(int(64)),
    () =>
      new TextEncoder().encode(
        `version https://git-lfs.github.com/spec/v1\noid sha256:${"0".repeat(64)}\nsize 12\n`,
      ),
    () => new TextEncoder().encode("<html>404</html>"),
    () => Uint8Array.from({ length: int(4096) }, () => int(256)),
    () => joinSafetensors("{}", new Uint8Array()),
  ])();

const MUTATIONS: readonly (readonly [string, Mutate])[] = [
  ["a field of the header", headerField],
  ["a field of the header", headerField],
  ["a field of the header", headerField],
  ["more tensors", addTensors],
  ["another dtype", otherDtype],
  ["another shape", otherShape],
  ["a tensor less", removeTensor],
  ["two names swapped", swapNames],
  ["offsets", shuffleOffsets],
  ["the header's length", headerLength],
  ["the header's text", headerText],
  ["the header's bytes", headerBytes],
  ["metadata", metadata],
  ["weights", weightValues],
  ["all weights", extremes],
  ["bytes", (weights, choices) => mutateBytes(weights, 4096, choices)],
  ["another file", replaced],
];

type Edit = { readonly entry: TensorEntry; readonly bytes?: Uint8Array } | "removed" | undefined;

/** Lays all tensors out anew after an edit. */
function rewrite(
  { entries, data }: SafetensorsParts,
  edit: (entry: TensorEntry, name: string) => Edit,
): Uint8Array {
  const header: Record<string, TensorEntry> = {};
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const [name, entry] of Object.entries(entries)) {
    const edited = edit(entry, name);
    if (edited === "removed") continue;
    const bytes = edited?.bytes ?? data.subarray(...entry.data_offsets);
    header[name] = { ...(edited?.entry ?? entry), data_offsets: [at, at + bytes.length] };
    parts.push(bytes);
    at += bytes.length;
  }
  return joinSafetensors(JSON.stringify(header), joined(...parts));
}
