/** A file of the built page. */
export interface PageFile {
  /** Relative to the page; empty for the page itself. */
  readonly path: string;
  /** Changes with its content. */
  readonly revision: string;
  readonly bytes: number;
}

/** Files of the page that are kept, by path and revision. */
export interface KeptFiles {
  /** The file from the cache, or from its server, after which it is kept. `undefined` for what is no file of the page. */
  readonly answer: (path: string) => Promise<Response | undefined>;
  /** Keeps files, one after the other; those that are kept already cost nothing. */
  readonly keep: (
    files: readonly PageFile[],
    onProgress?: (kept: number, total: number) => void,
  ) => Promise<void>;
  /** Drops what belongs to other versions of the page. */
  readonly dropOthers: () => Promise<void>;
}

/**
 * @param cache - Holds files of all versions: a version that changes one file loads that file alone.
 * @param base - Address of the page's folder.
 */
export function keptFiles(
  cache: Cache,
  base: string,
  files: readonly PageFile[],
  fetchFile: (url: string) => Promise<Response>,
): KeptFiles {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const keyOf = ({ path, revision }: PageFile) => `${new URL(path, base)}?revision=${revision}`;
  const load = async (file: PageFile) => {
    const response = await fetchFile(String(new URL(file.path, base)));
    if (response.ok) await cache.put(keyOf(file), response.clone());
    return response;
  };
  return {
    answer: async (path) => {
      const file = byPath.get(path);
      return file && ((await cache.match(keyOf(file))) ?? load(file));
    },
    keep: async (wanted, onProgress = () => {}) => {
      const total = wanted.reduce((sum, { bytes }) => sum + bytes, 0);
      let kept = 0;
      for (const file of wanted) {
        onProgress(kept, total);
        if ((await cache.match(keyOf(file))) === undefined) await loadOrFail(file, load);
        kept += file.bytes;
      }
      onProgress(total, total);
    },
    dropOthers: async () => {
      const own = new Set(files.map(keyOf));
      for (const { url } of await cache.keys()) if (!own.has(url)) await cache.delete(url);
    },
  };
}

async function loadOrFail(file: PageFile, load: (file: PageFile) => Promise<Response>): Promise<void> {
  const { ok, status } = await load(file);
  if (!ok) throw new Error(`${file.path}: expected a file, found status ${status}`);
}
