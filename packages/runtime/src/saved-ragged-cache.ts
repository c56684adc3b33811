import type { ByteSource } from "@kvfold/safetensors";
import { type CacheLayout, cacheSlots } from "./cache-layout.js";
import { EMPTY } from "./empty-slots.js";
import type { Tensor } from "./port.js";
import type { RaggedLayerCache } from "./ragged-layer.js";
import {
  bytesOf,
  headRows,
  openSaved,
  packTensors,
  type SavedCache,
  savedDtypes,
  tensorOf,
  tokenTensor,
  unreadable,
} from "./saved-cache.js";

/** What a saved cache holds of which layers and heads may keep different tokens. */
export interface RaggedContents {
  readonly tokens: readonly number[];
  /** Position of the first token. */
  readonly firstPosition: number;
  /** Tokens at the beginning of which policies have dropped some. */
  readonly settled: number;
  readonly layers: readonly SavedLayer[];
}

/** One layer: places of its tokens counted from the first, -1 for none, `[heads, T]`, and `[1, heads, T, size]`. */
export interface SavedLayer {
  readonly places: Int32Array;
  readonly tensors: readonly Tensor[];
}

const FORMAT = "kvfold-ragged-cache-1";

/**
 * A safetensors file as `packCache` writes it, but that each layer has tokens of its own: `past_positions.N [heads, T]` int32
 * says which, counted from the first, -1 for none.
 */
export function packRaggedCache(
  layout: CacheLayout,
  contents: Omit<RaggedContents, "layers">,
  { layers, model }: { readonly layers: readonly RaggedLayerCache[]; readonly model: string },
): SavedCache {
  const tensors = layers.flatMap((layer, index) => {
    const count = Math.max(...layer.lengths);
    const places = Array.from({ length: layer.heads }, (_, head) =>
      bytesOf(layer.places.slice(head * layer.capacity, head * layer.capacity + count)),
    );
    const name = layout.ragged![index]!.positions;
    return [
      { name, dtype: "I32" as const, shape: [layer.heads, count], pieces: places },
      ...layer.slots.map(({ past, type, heads, size }, part) => ({
        name: past,
        dtype: savedDtypes[type],
        shape: [heads, count, size],
        pieces: headRows(layer.tensors[part]!, count),
      })),
    ];
  });
  const { tokens, firstPosition, settled } = contents;
  const metadata = { format: FORMAT, model, first_position: String(firstPosition), settled: String(settled) };
  return packTensors([tokenTensor(tokens), ...tensors], metadata);
}

/**
 * Reads what `packRaggedCache` has written.
 *
 * @throws {RuntimeError} `cache-unreadable` for a file that is not such a cache, is damaged, or belongs to another model.
 */
export async function unpackRaggedCache(
  layout: CacheLayout,
  source: ByteSource,
  model: string,
): Promise<RaggedContents> {
  const file = await openSaved(source, FORMAT, model);
  const tokens = await file.tokens();
  const layers: SavedLayer[] = [];
  for (const [index, cache] of layout.layers.entries()) {
    const { positions, heads } = layout.ragged![index]!;
    const [, count = 0] = file.shape(positions);
    const places = new Int32Array(await file.read(positions, "I32", [heads, count]));
    checkPlaces(positions, places, count, tokens.length);
    const tensors: Tensor[] = [];
    for (const slot of cacheSlots({ layers: [cache] })) {
      const shape = [slot.heads, count, slot.size];
      tensors.push(tensorOf(slot, await file.read(slot.past, savedDtypes[slot.type], shape), count));
    }
    layers.push({ places, tensors });
  }
  file.check();
  const { first_position, settled } = file.metadata;
  return { tokens, firstPosition: Number(first_position), settled: Number(settled), layers };
}

/** Each head has its tokens in the first slots, each of the text. */
function checkPlaces(name: string, places: Int32Array, count: number, tokens: number): void {
  const empty = Number(EMPTY);
  const isSound = places.every(
    (place, index) =>
      (place === empty || (place >= 0 && place < tokens)) &&
      (index % count === 0 || places[index - 1] !== empty || place === empty),
  );
  if (!isSound) throw unreadable(`expected ${name} below ${tokens}, the tokens there are, found others`);
}
