import type { TrainingProgress } from "@kvfold/converter";
import type { FoldNews, FoldRequest, FoldResult } from "../fold/fold-request.js";
import type { TuneRequest, TuneResult } from "../tune/tune-request.js";

/** What the thread that makes models does: what each work is asked for by, tells on the way, and ends with. */
export interface Works {
  readonly fold: { readonly request: FoldRequest; readonly news: FoldNews; readonly result: FoldResult };
  readonly tune: {
    readonly request: TuneRequest;
    readonly news: TrainingProgress;
    readonly result: TuneResult;
  };
}

export type WorkName = keyof Works;

/** To the thread: its one work, and perhaps later that it is enough: then it ends soon, with what it has. */
export type WorkOrder = { [Name in WorkName]: WorkBeginning<Name> }[WorkName] | { readonly type: "enough" };

export interface WorkBeginning<Name extends WorkName> {
  readonly type: "begin";
  readonly name: Name;
  readonly request: Works[Name]["request"];
}

/** An error as data: classes do not cross between threads. */
export interface WorkFailure {
  readonly code: string;
  readonly message: string;
}

/** From the thread. */
export type WorkMessage<Name extends WorkName> =
  | { readonly type: "news"; readonly news: Works[Name]["news"] }
  | { readonly type: "done"; readonly result: Works[Name]["result"] }
  | { readonly type: "failed"; readonly failure: WorkFailure };
