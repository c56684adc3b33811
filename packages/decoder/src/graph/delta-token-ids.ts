import type { Emitter } from "./emitter.js";
import { memoise, once } from "./memoise.js";
import { emitDimension, emitIndices, type TokenIds, type Tokens } from "./token-ids.js";

/** The inputs of a delta decoder that positions are read from, int64. */
export interface DeltaInputs {
  /** `[B, S]`. */
  readonly inputIds: string;
  /** `[B, S]`, -1 for padding. */
  readonly positionIds: string;
  /** `[B, P]`, -1 for empty slots. */
  readonly pastPositions: string;
  /** Scalar: slots in use, declared when it is first asked for. */
  readonly pastLength: () => string;
}

/** All tokens are the slots of the past, empty ones included, and then the new ones, whose slots follow those in use. */
export function emitDeltaTokenIds(e: Emitter, inputs: DeltaInputs, keyPositions: () => string): TokenIds {
  const int64 = (value: number) => e.graph.int64([value], []);
  const positions = once(() => emitReal(e.at("query"), inputs.positionIds));
  const past = once(() => emitDimension(e.at("past/length"), inputs.pastPositions, 1));
  const fresh = once(() => emitDimension(e.at("query/length"), inputs.inputIds, 1));
  const all = once(() => e.node("Add", "key/length/Add", [past(), fresh()]));
  const count = (tokens: Tokens) => (tokens === "new" ? fresh() : all());
  const newSlots = once(() => {
    const end = e.node("Add", "query/slots/Add", [inputs.pastLength(), fresh()]);
    return e.node("Range", "query/slots/Range", [inputs.pastLength(), end, int64(1)]);
  });
  const allSlots = once(() => {
    const range = e.node("Range", "past/slots/Range", [int64(0), past(), int64(1)]);
    // Empty slots may lie beyond the last position that tables have a row for.
    const pastSlots = e.node("Min", "past/slots/Min", [range, inputs.pastLength()]);
    return e.node("Concat", "key/slots/Concat", [pastSlots, newSlots()], { attributes: { axis: 0 } });
  });
  const allPlaces = once(() => emitReal(e.at("key"), keyPositions()));
  return {
    positions,
    count,
    sequences: once(() => emitDimension(e.at("sequences"), inputs.inputIds, 0)),
    slots: (tokens) => (tokens === "new" ? newSlots() : allSlots()),
    realPlaces: (tokens) => (tokens === "new" ? positions() : allPlaces()),
    indices: memoise<Tokens, string>(String, (tokens) => {
      const [part, value] = tokens === "new" ? ["query", inputs.inputIds] : ["key", keyPositions()];
      return emitIndices(e.at(`${part}/indices`), value, count(tokens));
    }),
    cachedSlots: past,
    newestSlot: inputs.pastLength,
  };
}

/** Positions, 0 for padding: tables have rows for positions alone. */
const emitReal = (e: Emitter, positions: string): string =>
  e.node("Max", "real/Max", [positions, e.graph.int64([0], [])]);
