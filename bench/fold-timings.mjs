/** Where the time of a fold or a tuning goes: sessions by what their graphs put out, linear algebra by task. */

/**
 * Sums of seconds, bytes and calls by name. What ends is told to `onEnd` as it goes, in words: a run that is ended before its
 * time then says how far it came.
 */
export function createTimings({ onEnd = () => {} } = {}) {
  const parts = new Map();
  const partOf = (name) => {
    if (!parts.has(name)) parts.set(name, { seconds: 0, calls: 0, bytes: 0 });
    return parts.get(name);
  };
  const add = (name, bytes) => {
    partOf(name).bytes += bytes;
  };
  const since = (name, started) => {
    const part = partOf(name);
    part.seconds += (performance.now() - started) / 1000;
    part.calls++;
  };
  const time = async (name, work) => {
    const started = performance.now();
    try {
      return await work();
    } finally {
      since(name, started);
    }
  };
  const lines = () =>
    [...parts].map(
      ([name, { seconds, calls, bytes }]) =>
        `${seconds.toFixed(1).padStart(8)} s ${String(calls).padStart(6)} calls ${(bytes / 2 ** 20).toFixed(0).padStart(8)} MiB  ${name}`,
    );
  const seconds = () => [...parts.values()].reduce((total, part) => total + part.seconds, 0);
  const clear = () => parts.clear();
  return { add, since, time, lines, seconds, clear, onEnd };
}

/** Streams by name, and what is summed: `residual_out +queries +keysAndValues`. */
const labelOfFold = ({ outputs }) =>
  outputs
    .map(({ name }) => name)
    .filter((name) => !/\.(sum|shift|cross)$/.test(name))
    .map((name) => name.replace(/^(.*)\.gram$/, "+$1"))
    .join(" ");

const hostBytes = (tensors) =>
  Object.values(tensors).reduce(
    (total, tensor) => total + (tensor?.location === "cpu" ? tensor.data.byteLength : 0),
    0,
  );

/** A provider that notes how long its sessions are made, run and read, and the bytes that go to them and come back. */
export function timedProvider(provider, timings, labelOf = labelOfFold) {
  const timedMemory = (memory, label) => {
    const timed = { bytes: memory.bytes };
    for (const name of ["allocate", "copyTokens", "dispose"])
      timed[name] = (...given) => memory[name](...given);
    timed.read = async (tensor) => {
      const values = await timings.time(`read ${label}`, () => memory.read(tensor));
      timings.add(`read ${label}`, values.byteLength);
      return values;
    };
    timed.write = (tensor, values) => {
      timings.add(`write ${label}`, values.byteLength);
      return timings.time(`write ${label}`, () => memory.write(tensor, values));
    };
    return timed;
  };
  const createSession = async (source, options) => {
    const started = performance.now();
    const session = await provider.createSession(source, options);
    const label = labelOf(session);
    timings.since(`open ${label}`, started);
    const weights = (source.externalData ?? []).reduce((total, { data }) => total + data.byteLength, 0);
    timings.add(`open ${label}`, weights);
    const opened = performance.now();
    let runs = 0;
    return {
      inputs: session.inputs,
      outputs: session.outputs,
      writesInPlace: session.writesInPlace,
      memory: session.memory && timedMemory(session.memory, `sums of ${label}`),
      async run(feeds, fetches) {
        const results = await timings.time(`run ${label}`, () => session.run(feeds, fetches));
        timings.add(`run ${label}`, hostBytes(feeds) + hostBytes(results));
        runs++;
        return results;
      },
      async dispose() {
        const used = performance.now();
        await timings.time("dispose sessions", () => session.dispose());
        const times = [opened - started, used - opened, performance.now() - used].map(inSeconds);
        timings.onEnd(`graph ${label}: open ${times[0]}, ${runs} windows ${times[1]}, dispose ${times[2]}`);
      },
    };
  };
  const openMemory =
    provider.openMemory && (async () => timedMemory(await provider.openMemory(), "hidden states"));
  return { ...provider, createSession, ...(openMemory ? { openMemory } : {}) };
}

const inSeconds = (milliseconds) => `${(milliseconds / 1000).toFixed(2)} s`;

/** Linear algebra that notes how long its tasks take from when they are asked for. */
export const timedMath = (math, timings) => ({
  layersAtOnce: math.layersAtOnce,
  async run(task, input) {
    const started = performance.now();
    const result = await timings.time(`solve ${task}`, () => math.run(task, input));
    timings.onEnd(`solve ${task}: ${inSeconds(performance.now() - started)}`);
    return result;
  },
  dispose: () => math.dispose(),
});
