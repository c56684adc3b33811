/** The thread that does the linear algebra of a fold; see worker-block-math.ts. */
import { parentPort } from "node:worker_threads";
import { runTask } from "../fold/block-math.js";
import { describeFailure, type TaskReply, type TaskRequest } from "./worker-protocol.js";

parentPort?.on("message", ({ id, task, input }: TaskRequest) => {
  parentPort?.postMessage(perform(id, () => runTask(task, input)));
});

function perform(id: number, work: () => unknown): TaskReply {
  try {
    return { id, result: work() };
  } catch (error) {
    return { id, failure: describeFailure(error) };
  }
}
