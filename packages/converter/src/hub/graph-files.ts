import { DecoderError, exportedGraphs } from "@kvfold/decoder";
import type { HubFile, Listing } from "./checkpoint-files.js";

/** Paths of all ONNX files of a repository. */
export const graphPaths = (listing: Listing): readonly string[] =>
  [...listing.keys()].filter((file) => file.endsWith(".onnx"));

/** The most exact decoder graph of a repository, among those with the names that tools give them. */
export const knownGraph = (listing: Listing): string | undefined =>
  exportedGraphs.find((file) => listing.has(file));

/**
 * The files beside a graph that hold its weights.
 *
 * @param paths - Relative to the graph, as it names them.
 * @throws {DecoderError} `malformed-checkpoint` when one is missing.
 */
export const dataFiles = (
  listing: Listing,
  graph: string,
  paths: readonly string[],
  { name }: { readonly name: string },
): readonly HubFile[] =>
  paths.map((path) => {
    const file = graph.slice(0, graph.lastIndexOf("/") + 1) + path;
    const found = listing.get(file);
    if (found !== undefined) return found;
    throw new DecoderError("malformed-checkpoint", `${name}: ${graph} needs ${file}, which is not there`);
  });
