/** The dimensions of a decoder that all its layers share, whatever its family. */
export interface ModelShape {
  /** `D`, width of the residual stream. */
  readonly hiddenSize: number;
  /** `L`, decoder blocks. */
  readonly layers: number;
  /** `H`, query heads. */
  readonly heads: number;
  /** `Hkv`, key-value heads; divides `H`. */
  readonly kvHeads: number;
  /** `d`, size of a head. */
  readonly headDim: number;
  /** `V`. */
  readonly vocabSize: number;
  /** Longest context the model was trained for, in tokens. */
  readonly maxPositions: number;
  /** The output head is the embedding table. */
  readonly tiedEmbeddings: boolean;
}
