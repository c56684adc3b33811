/** Where and as whom models are fetched: plain data, so that a job can be sent to a worker with it. */
export interface HubSettings {
  /** `https://huggingface.co` by default. */
  readonly hubUrl?: string | undefined;
  /** Begins with `hf_`. */
  readonly token?: string | undefined;
  /** Of models that name none themselves: a branch, tag or commit; `main` by default. */
  readonly revision?: string | undefined;
  /** Where fetched models are kept. */
  readonly cacheFolder: string;
  /** How long the Hub may be silent in the middle of an answer; 30 seconds by default. */
  readonly patienceMilliseconds?: number | undefined;
}
