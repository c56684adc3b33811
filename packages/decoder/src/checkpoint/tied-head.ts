import type { TensorInfo } from "@kvfold/safetensors";
import type { ModelConfig } from "../families/read-config.js";

/** A table as it is stored. */
export interface StoredTable {
  readonly info: Pick<TensorInfo, "dtype" | "start" | "end">;
  /** Bytes `[start, end)` of the file. */
  readonly read: (start: number, end: number) => Promise<Uint8Array>;
}

/** A config that fits the tables of its checkpoint, and what a user should know of it. */
export interface SettledHead {
  readonly config: ModelConfig;
  readonly notices: readonly string[];
}

/**
 * Settles which tables a model has whose config ties embedding and head. As in transformers 5, a head that is stored
 * beside the embedding and differs from it is used, and an embedding that is not stored is the head.
 */
export async function settleTiedHead(
  folder: string,
  config: ModelConfig,
  locate: (tensor: string) => StoredTable | undefined,
): Promise<SettledHead> {
  const { embedding, head } = config;
  const table = head.tied ? locate(`${head.table}.weight`) : undefined;
  if (table === undefined) return { config, notices: [] };
  const tokens = locate(`${embedding.tokens}.weight`);
  if (tokens === undefined) {
    return { config: { ...config, embedding: { ...embedding, tokens: head.table } }, notices: [] };
  }
  if (await holdTheSame(tokens, table)) return { config, notices: [] };
  const notice = `${folder}: config.json ties ${embedding.tokens} and ${head.table}, but their values differ; each is used as it is stored, as in transformers 5`;
  return { config: untie(config), notices: [notice] };
}

/** The same model with a head of its own. */
export const untie = (config: ModelConfig): ModelConfig => ({
  ...config,
  fields: { ...config.fields, tie_word_embeddings: false },
  shape: { ...config.shape, tiedEmbeddings: false },
  head: { ...config.head, tied: false },
});

/** Tables differ early if they do: small pieces leave most of them unread. */
const PIECE_BYTES = 2 ** 16;

async function holdTheSame(a: StoredTable, b: StoredTable): Promise<boolean> {
  const byteLength = a.info.end - a.info.start;
  const isAlike = a.info.dtype === b.info.dtype && byteLength === b.info.end - b.info.start;
  if (!isAlike) return false;
  for (let at = 0; at < byteLength; at += PIECE_BYTES) {
    const end = Math.min(byteLength, at + PIECE_BYTES);
    const [pieceA, pieceB] = await Promise.all(
      [a, b].map(({ info, read }) => read(info.start + at, info.start + end)),
    );
    if (!pieceA!.every((byte, index) => byte === pieceB![index])) return false;
  }
  return true;
}
