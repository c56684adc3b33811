/** A file starts with the byte length of its JSON header: an unsigned 64-bit little-endian integer. */
export const LENGTH_BYTES = 8;

/** The limit of the reference implementation, in bytes; headers of real models stay below 10 MB. */
export const MAX_HEADER_BYTES = 100_000_000;

/**
 * Names in a header, four for each tensor: enough for 260 000 tensors in one file, where the largest published
 * checkpoints have some 90 000 over all their shards. `JSON.parse` takes about two seconds for as many.
 */
export const MAX_MEMBER_COUNT: number = 2 ** 20;

/** The header's object, a tensor's object, its shape: nothing in a header is nested deeper. */
export const HEADER_DEPTH = 3;

/** The only entry of the header that is not a tensor. */
export const METADATA_NAME = "__metadata__";

/** The header is padded with spaces to this, so that every tensor of an aligned file is aligned in memory. */
export const HEADER_ALIGNMENT_BYTES = 8;
