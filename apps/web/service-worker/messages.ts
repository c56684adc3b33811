/** What the page asks of its service worker. */
export type Wish =
  /** Keep the files whose paths begin with one of these, too. */
  | { readonly type: "keep"; readonly beginnings: readonly string[] }
  /** Take over from the version before, which is about to be left. */
  | { readonly type: "take-over" };

/** What the service worker tells the page. */
export type Report =
  | { readonly type: "progress"; readonly kept: number; readonly total: number }
  | { readonly type: "failed"; readonly message: string };
