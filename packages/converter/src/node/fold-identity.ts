import { createHash, type Hash } from "node:crypto";
import { type Shard, type StageMoments, shardName } from "@kvfold/calibration";
import type { Checkpoint } from "@kvfold/decoder";
import { type AbortSignalLike, throwIfAborted } from "@kvfold/runtime";
import type { FoldPlan } from "../plan/fold-plan.js";

/** What makes a fold this one and no other, by name: short values as they are, long ones as a SHA-256. */
export type FoldIdentity = Readonly<Record<string, string>>;

export declare namespace foldIdentity {
  interface Options {
    readonly checkpoint: Checkpoint;
    /** As it was asked for: its budget need not be settled. */
    readonly plan: FoldPlan;
    readonly windows?: readonly Int32Array[] | undefined;
    readonly moments?: readonly StageMoments[] | undefined;
    /** The part of the windows that is run, where processes share them. */
    readonly shard?: Shard | undefined;
    /** The version of kvfold: another one may compute the same in another order. */
    readonly version: string;
    readonly signal?: AbortSignalLike | undefined;
  }
}

/** Fields of a plan that follow from its others: they would only make messages longer. */
const DERIVED_FIELDS: ReadonlySet<string> = new Set(["achieved", "cacheBytesPerToken", "settled"]);

/**
 * Everything that a fold's output follows from. Of the checkpoint that is its config and every byte of its tensors, which
 * are read once for that: 1.6 s of one core a GB, half of it SHA-256.
 *
 * @throws {RuntimeError} `aborted` when `signal` fires.
 */
export async function foldIdentity(options: foldIdentity.Options): Promise<FoldIdentity> {
  const { checkpoint, plan, windows, moments, shard, version, signal } = options;
  const asked = Object.entries(plan)
    .filter(([name]) => !DERIVED_FIELDS.has(name))
    .map(([name, value]) => [name, asText(value)]);
  return {
    "version of kvfold": version,
    ...Object.fromEntries(asked),
    checkpoint: await hashCheckpoint(checkpoint, signal),
    "calibration text": windows === undefined ? "none" : hashWindows(windows),
    "measured moments": moments === undefined ? "none" : hashMoments(moments),
    ...(shard === undefined ? {} : { shard: shardName(shard) }),
  };
}

/**
 * What one fold differs in from another, for people: `keep was 1/2 and is 1/4`. Empty when they are the same.
 */
export function describeDifferences(was: FoldIdentity, is: FoldIdentity): readonly string[] {
  const names = [...new Set([...Object.keys(was), ...Object.keys(is)])];
  return names
    .filter((name) => was[name] !== is[name])
    .map((name) => describeDifference(name, was[name] ?? "none", is[name] ?? "none"));
}

/** Longer values, such as lists of layers and hashes, tell nobody anything. */
const READABLE_LENGTH = 40;

const describeDifference = (name: string, was: string, is: string): string =>
  Math.max(was.length, is.length) > READABLE_LENGTH ? `${name} changed` : `${name} was ${was} and is ${is}`;

const asText = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));

/** SHA-256 of a checkpoint's config and of every byte of its tensors. */
export async function hashCheckpoint(checkpoint: Checkpoint, signal?: AbortSignalLike): Promise<string> {
  const hash = createHash("sha256").update(JSON.stringify(checkpoint.config.fields));
  for await (const { bytes, ...description } of checkpoint.contents()) {
    throwIfAborted(signal);
    hash.update(JSON.stringify(description)).update(bytes);
  }
  return hash.digest("hex");
}

/** SHA-256 of token windows. */
export function hashWindows(windows: readonly Int32Array[]): string {
  const hash = createHash("sha256");
  for (const window of windows) updateNumbers(hash, window);
  return hash.digest("hex");
}

function hashMoments(layers: readonly StageMoments[]): string {
  const hash = createHash("sha256");
  for (const [layer, stage] of layers.entries()) {
    for (const [name, { count, sum, gram }] of Object.entries(stage)) {
      hash.update(JSON.stringify([layer, name, count]));
      updateNumbers(updateNumbers(hash, sum), gram);
    }
  }
  return hash.digest("hex");
}

/** The length goes in too: the same numbers cut in other places are another list. */
const updateNumbers = (hash: Hash, { buffer, byteOffset, byteLength }: Int32Array | Float64Array): Hash =>
  hash.update(`${byteLength}:`).update(new Uint8Array(buffer, byteOffset, byteLength));
