import { type RopeParameters, ropeFrequencies } from "@kvfold/rope";
import type { RotationOf } from "../emit-decoder-rope.js";
import type { Emitter } from "../emitter.js";
import { memoise, once } from "../memoise.js";
import type { Rotation } from "../rotation.js";
import type { TokenIds } from "../token-ids.js";
import type { Anchors } from "./anchors.js";
import type { ChunkLevel } from "./chunk-levels.js";
import { emitChunkRotation, emitSlotPart } from "./emit-chunk-rotation.js";
import { emitTurns } from "./emit-turns.js";

/** Anchors that follow from the number of cached slots; `tablesOf` gives the model's own rotation tables. */
export function emitAnchors(
  e: Emitter,
  ids: TokenIds,
  tablesOf: (rope: RopeParameters) => RotationOf,
): Anchors {
  const scalar = (value: number) => e.graph.int64([value], []);
  const vector = (name: string, value: string) => e.reshape(`${name}/Reshape`, value, [1]);
  const isStep = once(() => e.node("Equal", "step/Equal", [ids.count("new"), scalar(1)]));
  const total = once(() => vector("total", ids.cachedSlots()));
  const padded = memoise<number, string>(String, (multiple) =>
    emitPadded(e.at(`padded.${multiple}`), ids.cachedSlots(), multiple),
  );
  const textSlots = once(() => emitTextSlots(e.at("text"), ids, isStep()));
  const textRotations = memoise<readonly [RopeParameters, readonly number[]], Rotation>(
    JSON.stringify,
    ([rope, chunks], index) =>
      emitChunkRotation(e.at(`text.${index}`), textSlots(), {
        rope,
        chunks,
        part: "start",
        tablesOf: tablesOf(rope),
        rows: ids.indices("all"),
      }),
  );
  const runs = memoise<readonly [number, number], string>(JSON.stringify, ([grid, multiple]) => {
    const at = e.at(`runs.${grid}.${multiple}`);
    return ids.pastSlots === undefined
      ? emitRuns(at, padded(multiple), grid)
      : emitKeptRuns(at, ids.pastSlots(), grid);
  });
  const distances = memoise<readonly [RopeParameters, ChunkLevel, number], string>(
    JSON.stringify,
    ([rope, level, multiple], index) => {
      const at = e.at(`distances.${index}`);
      const starts = emitStarts(at, runs([level.grid, multiple]), level);
      return emitDistances(at, { starts, newest: ids.newestSlot() }, rope, level, tablesOf(rope));
    },
  );
  return {
    isStep,
    textRotation: (...key) => textRotations(key),
    slots: (tokens) => (tokens === "new" ? ids.slots("new") : ids.pastSlots!()),
    batch: once(() => vector("batch", ids.sequences())),
    total,
    padding: memoise<number, string>(String, (multiple) => {
      const at = e.at(`padding.${multiple}`);
      const missing = at.node("Sub", "Sub", [padded(multiple), ids.cachedSlots()]);
      return at.reshape("Reshape", missing, [1]);
    }),
    distances: (...key) => distances(key),
  };
}

/** int64 `[T]`, the slots of all tokens; none of them in a step. */
function emitTextSlots(e: Emitter, ids: TokenIds, isStep: string): string {
  const vector = (value: number) => e.graph.int64([value]);
  const end = e.node("Where", "Where", [isStep, vector(0), vector(Number.MAX_SAFE_INTEGER)]);
  return e.node("Slice", "Slice", [ids.slots("all"), vector(0), end, vector(0)]);
}

/** int64 scalar: the multiple at or above `count`. */
function emitPadded(e: Emitter, count: string, multiple: number): string {
  return e.node("Mul", "Mul", [emitCeiling(e, count, multiple), e.graph.int64([multiple], [])]);
}

/** `ceil(count / size)`. */
function emitCeiling(e: Emitter, count: string, size: number): string {
  const raised = e.node("Add", "ceiling/Add", [count, e.graph.int64([size - 1], [])]);
  return e.node("Div", "ceiling/Div", [raised, e.graph.int64([size], [])]);
}

/** int64 `[N]`: the first slot of each run of `grid` slots. */
function emitRuns(e: Emitter, slots: string, grid: number): string {
  const count = emitCeiling(e, slots, grid);
  const runs = e.node("Range", "Range", [e.graph.int64([0], []), count, e.graph.int64([1], [])]);
  return e.node("Mul", "Mul", [runs, e.graph.int64([grid], [])]);
}

/** The same of runs that were kept, of `slots [P]`, a multiple of `grid`. */
function emitKeptRuns(e: Emitter, slots: string, grid: number): string {
  const range = [0, Number.MAX_SAFE_INTEGER, 0, grid].map((value) => e.graph.int64([value]));
  return e.node("Slice", "Slice", [slots, ...range]);
}

/** int64 `[N, p]`: where the chunks begin that each run of slots lies in, pair by pair. */
const emitStarts = (e: Emitter, firstSlots: string, { chunks }: ChunkLevel): string =>
  emitSlotPart(e, e.reshape("run/Reshape", firstSlots, [-1, 1]), chunks, "start");

function emitDistances(
  e: Emitter,
  { starts, newest }: { readonly starts: string; readonly newest: string },
  rope: RopeParameters,
  level: ChunkLevel,
  tablesOf: RotationOf,
): string {
  const distance = e.node("Sub", "distance/Sub", [newest, starts]);
  // Runs of padding alone may begin after the newest token; their scores are cut off.
  const places = e.node("Max", "distance/Max", [distance, e.graph.int64([0], [])]);
  const { cos, sin } = emitTurns(e, tablesOf(e, places), level, rope.rotaryDim / 2);
  const columns = [cos, sin].map((table, index) =>
    e.node("Unsqueeze", `${index === 0 ? "cos" : "sin"}/Unsqueeze`, [table, e.graph.int64([2])]),
  );
  const both = e.node("Concat", "both/Concat", columns, { attributes: { axis: 2 } });
  const turns = e.reshape("both/Reshape", both, [-1, 2 * level.chunks.length]);
  const { attentionScaling } = ropeFrequencies(rope);
  return attentionScaling === 1 ? turns : e.node("Mul", "factor/Mul", [turns, e.scalar(attentionScaling)]);
}
