import type { MemoryModel } from "@kvfold/decoder/graph";
import type { Session, SessionOptions, SessionProvider } from "@kvfold/runtime";

/** Opens sessions, and keeps those that fit into memory open for the next time. */
export interface SessionStore {
  /** Runs `work` with the session of that name; `make` is asked for its model where it is not open. */
  use<T>(name: string, make: () => Promise<MemoryModel>, work: (session: Session) => Promise<T>): Promise<T>;
  dispose(): Promise<void>;
}

export declare namespace createSessionStore {
  interface Options {
    readonly provider: SessionProvider;
    readonly session: SessionOptions | undefined;
    /** Bytes of models that stay open. */
    readonly residentBytes: number;
  }
}

/**
 * A store for models that are used in turn, again and again: those that come first stay, and no others, since one that had to
 * make room would be needed again before the one that took its place.
 */
export function createSessionStore({
  provider,
  session: options,
  residentBytes,
}: createSessionStore.Options): SessionStore {
  const resident = new Map<string, Session>();
  let free = residentBytes;
  return {
    async use(name, make, work) {
      const known = resident.get(name);
      if (known !== undefined) return work(known);
      const model = await make();
      const session = await provider.createSession(model, options);
      const bytes = sizeOf(model);
      if (bytes <= free) {
        free -= bytes;
        resident.set(name, session);
        return work(session);
      }
      try {
        return await work(session);
      } finally {
        await session.dispose();
      }
    },
    async dispose() {
      const sessions = [...resident.values()];
      resident.clear();
      for (const session of sessions) await session.dispose();
    },
  };
}

/** A session holds its weights, and most of them once more in the layout that its kernels like. */
const COPIES = 2;

const sizeOf = ({ bytes, externalData = [] }: MemoryModel): number =>
  bytes.byteLength + COPIES * externalData.reduce((total, { data }) => total + data.byteLength, 0);
