import type { RopeParameters } from "@kvfold/rope";
import { emitDecoderRope, type RotationOf } from "./emit-decoder-rope.js";
import type { Emitter } from "./emitter.js";
import { emitChunkRotation } from "./joint/emit-chunk-rotation.js";
import { memoise, once } from "./memoise.js";
import { numbered } from "./numbered.js";
import type { Positions } from "./positions.js";
import type { ChunkPart, Rotation } from "./rotation.js";
import type { TokenIds } from "./token-ids.js";

/** What rotations are asked for by, as words. */
type RotatedBy = "positions" | "new places" | "all places";

/** The rotations of a decoder whose tokens are counted as `ids` says, and the tables behind them. */
export interface DecoderRotations extends Pick<Positions, "rotation" | "relativeRotation" | "chunkRotation"> {
  readonly ropeOf: (rope: RopeParameters) => RotationOf;
}

/** Tables of each rotation that cover `maxPositions` tokens. */
export function emitRopes(
  e: Emitter,
  ids: Pick<TokenIds, "positions">,
  maxPositions: number,
): (rope: RopeParameters) => RotationOf {
  const textLength = once(() => emitTextLength(e.at("text"), ids.positions()));
  return memoise(JSON.stringify as (rope: RopeParameters) => string, (rope, index) =>
    emitDecoderRope(numbered(e, index), { rope, maxPositions, textLength }),
  );
}

export function emitDecoderRotations(
  e: Emitter,
  ids: TokenIds,
  ropeOf: DecoderRotations["ropeOf"],
): DecoderRotations {
  const rows: Readonly<Record<RotatedBy, () => string>> = {
    positions: () => ids.positions(),
    "new places": () => ids.realPlaces("new"),
    "all places": () => ids.realPlaces("all"),
  };
  const rotations = memoise<readonly [RopeParameters, RotatedBy], Rotation>(
    JSON.stringify,
    ([rope, by], index) => ropeOf(rope)(e.at(`rotation.${index}`), rows[by]()),
  );
  const chunkRotations = memoise<readonly [RopeParameters, readonly number[], ChunkPart], Rotation>(
    JSON.stringify,
    ([rope, chunks, part], index) => {
      const tokens = part === "start" ? "all" : "new";
      const options = { rope, chunks, part, tablesOf: ropeOf(rope), rows: ids.indices(tokens) };
      return emitChunkRotation(e.at(`chunks.${index}`), ids.slots(tokens), options);
    },
  );
  return {
    ropeOf,
    rotation: (rope) => rotations([rope, "positions"]),
    relativeRotation: (rope, tokens) => rotations([rope, `${tokens} places`]),
    chunkRotation: (rope, chunks, part) => chunkRotations([rope, chunks, part]),
  };
}

/** int64 scalar: the last position of the batch and one more. */
function emitTextLength(e: Emitter, positionIds: string): string {
  const last = e.node("ReduceMax", "last/ReduceMax", [positionIds], { attributes: { keepdims: 0 } });
  return e.node("Add", "length/Add", [last, e.graph.int64([1], [])]);
}
