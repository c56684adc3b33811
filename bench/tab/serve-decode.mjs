/** The worker's side of a measurement: the same prompt in the same chunks, the same greedy loop for every runtime. */

/**
 * Answers a job with the first token after its prompt, then each number with that many tokens more. `open` makes of the
 * job what appends tokens and gives the logits of the last.
 */
export function serveDecode(open) {
  const memories = trackMemories();
  let sequence;
  const perform = async (request) => {
    if (typeof request === "number") return sequence.continue(request);
    sequence = await startSequence(await open(request), request);
    return {};
  };
  addEventListener("message", ({ data: request }) => {
    void perform(request).then(
      (result) => postMessage({ ...result, wasmBytes: totalBytes(memories) }),
      (error) => postMessage({ error: String(error?.stack ?? error) }),
    );
  });
}

async function startSequence(append, { prompt, chunk }) {
  let logits;
  for (let start = 0; start < prompt.length; start += chunk)
    logits = await append(prompt.slice(start, start + chunk));
  let last = indexOfLargest(logits);
  return {
    async continue(count) {
      const tokens = [];
      const start = performance.now();
      while (tokens.length < count) {
        tokens.push(last);
        last = indexOfLargest(await append([last]));
      }
      return { tokens, tokensPerSecond: (1000 * count) / (performance.now() - start) };
    },
  };
}

function indexOfLargest(values) {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}

/** WebAssembly's memories never shrink: what they have at the end is their peak. */
function trackMemories() {
  const memories = [];
  WebAssembly.Memory = new Proxy(WebAssembly.Memory, {
    construct(target, args) {
      const memory = new target(...args);
      memories.push(memory);
      return memory;
    },
  });
  return memories;
}

const totalBytes = (memories) => memories.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
