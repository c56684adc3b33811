/** The files of a model's folder by path, `/` between parts. Blobs cross to workers without a copy. */
export type ModelFiles = ReadonlyMap<string, Blob>;

export const totalBytes = (files: ModelFiles): number =>
  [...files.values()].reduce((total, { size }) => total + size, 0);
