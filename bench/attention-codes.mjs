/**
 * One step of attention to a cache of floats, and to one of bytes in several forms: bytes cast to floats, products of integers
 * (queries as two digits of eight bits, shares as two or three), and mixtures. Milliseconds, medians of the fastest of three
 * runs in turn, and the largest error over the largest output.
 * `node bench/attention-codes.mjs [1024,4096]`
 */
import { createGraphBuilder, tensorValue } from "@kvfold/onnx";
import * as ort from "onnxruntime-node";
import "./help.mjs";

const Ts = (process.argv[2] ?? "1024,4096").split(",").map(Number);
const shapes = [
  [8, 8, 64],
  [8, 4, 64],
  [8, 1, 128],
  [32, 4, 128],
];
const MS = "com.microsoft";
function build(make) {
  const g = createGraphBuilder({ graphName: "g", opsets: { "": 18, [MS]: 1 } });
  let n = 0;
  const node = (op, inputs, attributes = {}, domain = "") =>
    g.node(op, inputs, { name: `/n${n++}`, attributes, domain });
  const split = (x, k, axis) => {
    const outs = Array.from({ length: k }, (_, i) => `s${n}_${i}`);
    g.nodeWithOutputs("Split", [x], outs, { name: `/n${n++}`, attributes: { axis, num_outputs: k } });
    return outs;
  };
  const f = (v) => g.constant(`f${v}`, tensorValue("float32", [], new Uint8Array(Float32Array.of(v).buffer)));
  const fv = (vs, dims) =>
    g.constant(`fv${vs}`, tensorValue("float32", dims, new Uint8Array(Float32Array.from(vs).buffer)));
  const u8 = (v) => g.constant(`u${v}`, tensorValue("uint8", [], Uint8Array.of(v)));
  const out = make({ g, node, split, f, fv, u8 });
  g.nodeWithOutputs("Identity", [out], ["out"], { name: "/out" });
  g.output("out", "float32", ["?", "?", "?"]);
  return g.toBytes();
}
const FLOAT = 1,
  U8 = 2;
const T3 = { perm: [0, 2, 1] };
const parts = {
  scores: {
    float:
      (h, _, d, T) =>
      ({ g, node }, q) =>
        node("MatMul", [q, node("Transpose", [g.input("k", "float32", [h, T, d])], T3)]),
    cast:
      (h, _, d, T) =>
      ({ g, node, f }, q) => {
        const k = node("Cast", [g.input("k", "uint8", [h, T, d])], { to: FLOAT });
        const raw = node("MatMul", [q, node("Transpose", [k], T3)]);
        const sum = node("Mul", [node("ReduceSum", [q, g.int64([-1])]), f(128)]);
        return node("Mul", [node("Sub", [raw, sum]), g.input("ks", "float32", [h, 1, T])]);
      },
    integer:
      (h, G, d, T) =>
      ({ g, node, f, u8 }, q) => {
        const max = node("ReduceMax", [node("Abs", [q]), g.int64([-1])]);
        const step = node("Mul", [max, f(1 / 32512)]);
        const u = node("Round", [node("Div", [q, step])]);
        const hi = node("Floor", [node("Add", [node("Mul", [u, f(1 / 256)]), f(0.5)])]);
        const lo = node("Sub", [u, node("Mul", [hi, f(256)])]);
        const both = node("Add", [node("Concat", [hi, lo], { axis: 1 }), f(128)]);
        const q8 = node("Transpose", [node("Cast", [both], { to: U8 })], T3);
        const s = node(
          "Cast",
          [node("MatMulInteger", [g.input("k", "uint8", [h, T, d]), q8, u8(128), u8(128)])],
          { to: FLOAT },
        );
        // [h, G, 2G]: step on the diagonal blocks
        const eye = Array.from({ length: G * 2 * G }, (_, i) =>
          (i % (2 * G)) % G === Math.floor(i / (2 * G)) ? (i % (2 * G) < G ? 256 : 1) : 0,
        );
        const combine = node("Mul", [
          step,
          g.constant(
            "eye",
            tensorValue("float32", [1, G, 2 * G], new Uint8Array(Float32Array.from(eye).buffer)),
          ),
        ]);
        const raw = node("MatMul", [combine, node("Transpose", [s], T3)]);
        return node("Mul", [raw, g.input("ks", "float32", [h, 1, T])]);
      },
  },
  values: {
    float:
      (h, _, d, T) =>
      ({ g, node }, p) =>
        node("MatMul", [p, g.input("v", "float32", [h, T, d])]),
    cast:
      (h, _, d, T) =>
      ({ g, node, f }, p) => {
        const w = node("Mul", [p, g.input("vs", "float32", [h, 1, T])]);
        const v = node("Cast", [g.input("v", "uint8", [h, T, d])], { to: FLOAT });
        const sum = node("Mul", [node("ReduceSum", [w, g.int64([-1])]), f(128)]);
        return node("Sub", [node("MatMul", [w, v]), sum]);
      },
    ...Object.fromEntries(
      [2, 3].map((count) => [
        `integer${count}`,
        (h, G, d, T) =>
          ({ g, node, f, u8 }, p) => {
            const w = node("Mul", [p, g.input("vs", "float32", [h, 1, T])]);
            const max = node("ReduceMax", [w, g.int64([-1])]);
            let rest = node("Mul", [w, node("Div", [f(255.9), max])]);
            const codes = [];
            for (let i = 0; i < count; i++) {
              const c = node("Cast", [rest], { to: U8 });
              codes.push(c);
              if (i < count - 1)
                rest = node("Mul", [node("Sub", [rest, node("Cast", [c], { to: FLOAT })]), f(256)]);
            }
            const all = node("Concat", codes, { axis: 1 });
            const o = node(
              "Cast",
              [node("MatMulInteger", [all, g.input("v", "uint8", [h, T, d]), u8(0), u8(128)])],
              { to: FLOAT },
            );
            const eye = Array.from({ length: G * count * G }, (_, i) => {
              const c = i % (count * G);
              return c % G === Math.floor(i / (count * G)) ? 256 ** -Math.floor(c / G) : 0;
            });
            const combine = node("Mul", [
              node("Mul", [max, f(1 / 255.9)]),
              g.constant(
                "eyev",
                tensorValue("float32", [1, G, count * G], new Uint8Array(Float32Array.from(eye).buffer)),
              ),
            ]);
            return node("MatMul", [combine, o]);
          },
      ]),
    ),
  },
};
const full = (s, v) => (h, G, d, T) => (b) => {
  const q = b.g.input("q", "float32", [h, G, d]);
  const p = b.node(
    "Softmax",
    [b.node("Add", [parts.scores[s](h, G, d, T)(b, q), b.g.input("bias", "float32", [1, 1, T])])],
    { axis: -1 },
  );
  return parts.values[v](h, G, d, T)(b, p);
};
const combos = [
  ["float", "float"],
  ["cast", "cast"],
  ["integer", "float"],
  ["integer", "cast"],
  ["integer", "integer2"],
  ["integer", "integer3"],
];
const median = (v) => [...v].sort((a, b) => a - b)[Math.floor(v.length / 2)];
for (const T of Ts)
  for (const [H, h, d] of shapes) {
    const G = H / h;
    const cells = [];
    const K = Float32Array.from({ length: h * T * d }, () => Math.random() * 2 - 1),
      V = K.map(() => Math.random() * 2 - 1),
      q = Float32Array.from({ length: H * d }, () => 3 * (Math.random() * 2 - 1));
    const quant = (X) => {
      const s = new Float32Array(h * T),
        c = new Uint8Array(X.length);
      for (let r = 0; r < h * T; r++) {
        let m = 0;
        for (let i = 0; i < d; i++) m = Math.max(m, Math.abs(X[r * d + i]));
        s[r] = m / 127;
        for (let i = 0; i < d; i++) {
          c[r * d + i] = Math.round(X[r * d + i] / s[r]) + 128;
          X[r * d + i] = (c[r * d + i] - 128) * s[r];
        }
      }
      return [c, s];
    };
    const [k8, ks] = quant(K),
      [v8, vs] = quant(V);
    let reference;
    for (const [s, v] of combos) {
      const session = await ort.InferenceSession.create(build(full(s, v)(h, G, d, T)), {
        intraOpNumThreads: 2,
        logSeverityLevel: 4,
      });
      const data = {
        q,
        k: s === "float" ? K : k8,
        v: v === "float" ? V : v8,
        ks,
        vs,
        bias: new Float32Array(T),
      };
      const feeds = Object.fromEntries(
        session.inputMetadata.map(({ name, type, shape }) => [name, new ort.Tensor(type, data[name], shape)]),
      );
      const out = (await session.run(feeds)).out.data;
      reference ??= out;
      const error =
        Math.max(...out.map((x, i) => Math.abs(x - reference[i]))) / Math.max(...reference.map(Math.abs));
      cells.push({ label: `${s}/${v}`, session, feeds, times: [], error });
    }
    for (let r = -2; r < 25; r++)
      for (const { session, feeds, times } of cells) {
        let best = Infinity;
        for (let i = 0; i < 3; i++) {
          const st = performance.now();
          await session.run(feeds);
          best = Math.min(best, performance.now() - st);
        }
        if (r >= 0) times.push(best);
      }
    console.log(`\n${H} heads, ${h} kv, d ${d}, T ${T}`);
    for (const { label, times, error } of cells)
      console.log(`  ${label.padEnd(28)} ${median(times).toFixed(3)}  error ${error.toExponential(1)}`);
  }
