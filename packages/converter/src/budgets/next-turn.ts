/** Lets the thread do what else is waiting, such as the event that aborts a signal, and goes on afterwards. */
export const nextTurn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));
