/** A model on a Hub. */
export interface HubId {
  /** `owner/name`. */
  readonly repository: string;
  /** Branch, tag or commit. */
  readonly revision: string | undefined;
  /** The ONNX graph that is meant, where one is named: `model.onnx` or `onnx/model.onnx`. */
  readonly graph?: string | undefined;
}

/** What the Hub allows in names: no path can be made of it that leaves a folder. */
const PATTERN =
  /^([A-Za-z0-9_][\w.-]*\/[A-Za-z0-9_][\w.-]*)(?:\/((?:onnx\/)?[A-Za-z0-9_][\w.-]*\.onnx))?(?:@(\S+))?$/;

/** Reads `owner/name`, with `/onnx/model.onnx` after it for one graph and `@revision` at the end; `undefined` for anything else. */
export function parseHubId(text: string): HubId | undefined {
  const [, repository, graph, revision] = PATTERN.exec(text) ?? [];
  if (repository === undefined) return undefined;
  return graph === undefined ? { repository, revision } : { repository, revision, graph };
}
