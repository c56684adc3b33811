import type { Rows } from "./layers.js";

/** The fields of a Hugging Face config that RoPE depends on. */
export interface RopeFields {
  readonly rope_theta?: number;
  readonly rope_scaling?: Llama3Fields | null;
}

interface Llama3Fields {
  readonly rope_type: "llama3";
  readonly factor: number;
  readonly low_freq_factor: number;
  readonly high_freq_factor: number;
  readonly original_max_position_embeddings: number;
}

/** Rotates pairs `(j, j + d/2)` of every head of row `t` by `t * frequency_j` (Su et al. 2021, in half-split layout). */
export function rotateHeads(x: Rows, headDim: number, fields: RopeFields): Rows {
  const half = headDim / 2;
  const data = x.data.slice();
  for (let row = 0; row < x.count; row++) {
    for (let head = 0; head < x.width; head += headDim) {
      for (let j = 0; j < half; j++) {
        const angle = row * frequency(j, headDim, fields);
        const at = row * x.width + head + j;
        const [a, b] = [x.data[at]!, x.data[at + half]!];
        data[at] = a * Math.cos(angle) - b * Math.sin(angle);
        data[at + half] = b * Math.cos(angle) + a * Math.sin(angle);
      }
    }
  }
  return { ...x, data };
}

function frequency(j: number, headDim: number, { rope_theta: theta = 10_000, rope_scaling }: RopeFields) {
  const plain = theta ** ((-2 * j) / headDim);
  return rope_scaling ? scaleLlama3(plain, rope_scaling) : plain;
}

/** Llama 3.1: long waves are stretched by `factor`, short ones kept, those between interpolated. */
function scaleLlama3(plain: number, fields: Llama3Fields): number {
  const { factor, low_freq_factor: low, high_freq_factor: high } = fields;
  const turns = (fields.original_max_position_embeddings * plain) / (2 * Math.PI);
  if (turns < low) return plain / factor;
  if (turns > high) return plain;
  const share = (turns - low) / (high - low);
  return ((1 - share) * plain) / factor + share * plain;
}

/** The slopes of the published ALiBi code (Press et al. 2022), by its own recursion. */
export function publishedSlopes(heads: number): number[] {
  const power = 2 ** Math.floor(Math.log2(heads));
  if (power === heads) {
    const start = 2 ** (-8 / heads);
    return Array.from({ length: heads }, (_, index) => start * start ** index);
  }
  const rest = publishedSlopes(2 * power).filter((_, index) => index % 2 === 0);
  return [...publishedSlopes(power), ...rest.slice(0, heads - power)];
}
