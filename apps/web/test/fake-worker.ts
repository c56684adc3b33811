import type { WorkMessage, WorkName, WorkOrder } from "../src/maker/works.js";

/** A worker that does nothing but what a test says. */
export class FakeWorker {
  static last: FakeWorker;
  readonly orders: WorkOrder[] = [];
  isTerminated = false;
  readonly #target = new EventTarget();

  constructor() {
    FakeWorker.last = this;
  }

  addEventListener(type: string, listener: (event: Event) => void): void {
    this.#target.addEventListener(type, listener);
  }

  postMessage(order: WorkOrder): void {
    this.orders.push(order);
  }

  terminate(): void {
    this.isTerminated = true;
  }

  say<Name extends WorkName>(message: WorkMessage<Name>): void {
    this.#target.dispatchEvent(new MessageEvent("message", { data: message }));
  }
}
