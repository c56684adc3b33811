/**
 * What writing a model costs next to copying its files: random weights in layers of Llama-3.2-1B's shape, written
 * unfolded (`keep 1`) in each format, against copies of the files that come out. Interleaved; medians of ratios.
 * `node bench/write-model.mjs [--from F16,BF16] [--to onnx:fp16,onnx:fp32,onnx:q4,hf:fp16,gguf:fp16] [--layers 2]
 *   [--vocabulary 8192] [--repeats 5]`; TMPDIR says where the files are.
 */
import { copyFile, mkdir, readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { planFold } from "@kvfold/converter";
import { writeModel } from "@kvfold/converter/node";
import { openCheckpoint } from "@kvfold/decoder";
import { directorySource } from "@kvfold/decoder/node";
import { renderTable } from "kvfold/jobs";
import { machine, textOption } from "./paths.mjs";
import { median, option, seconds, withTemporaryFolder } from "./support.mjs";
import { writeCheckpoint } from "./true-shapes/synthetic-checkpoint.mjs";

const shapes = JSON.parse(await readFile(new URL("true-shapes/shapes.json", import.meta.url), "utf8"));
const config = {
  ...shapes["Llama-3.2-1B"].config,
  num_hidden_layers: option("layers", 2),
  vocab_size: option("vocabulary", 8192),
  bos_token_id: 0,
  eos_token_id: 1,
};

/** The weights among the files of a folder; the rest is small. */
async function weightFiles(folder) {
  const names = await readdir(folder, { recursive: true });
  const paths = names.map((name) => join(folder, name));
  const sizes = await Promise.all(paths.map(async (path) => (await stat(path)).size));
  return paths.map((path, index) => ({ path, size: sizes[index] })).filter(({ size }) => size > 2 ** 20);
}

async function copyAll(files, folder) {
  await mkdir(folder);
  for (const [index, { path }] of files.entries()) await copyFile(path, join(folder, String(index)));
  await rm(folder, { recursive: true });
}

async function write(from, to, formats, dtypes) {
  const checkpoint = await openCheckpoint(await directorySource(from));
  try {
    const plan = planFold(checkpoint.config, {
      keep: "1",
      heal: "none",
      formats,
      dtypes,
      maxPositions: 4096,
    });
    await writeModel({ checkpoint, plan, from, to });
  } finally {
    await checkpoint.close();
  }
}

/** Bytes of the weights, seconds of a run, seconds of a copy. */
async function measure(from, folder, to) {
  const [format, dtype] = to.split(":");
  const place = join(folder, "written");
  await rm(place, { recursive: true, force: true });
  const written = await seconds(() => write(from, place, [format], [dtype]));
  const files = await weightFiles(place);
  const copied = await seconds(() => copyAll(files, join(folder, "copied")));
  return { bytes: files.reduce((sum, { size }) => sum + size, 0), written, copied };
}

async function compare(folder, dtype, to) {
  const from = join(folder, dtype);
  const runs = [];
  for (let repeat = 0; repeat <= option("repeats", 5); repeat++) runs.push(await measure(from, folder, to));
  // The first warms up code and the file cache.
  const counted = runs.slice(1);
  return {
    from: dtype,
    to,
    size: Math.round(counted[0].bytes / 1e6),
    speed: median(counted.map(({ bytes, written }) => bytes / 1e6 / written)),
    copying: median(counted.map(({ bytes, copied }) => bytes / 1e6 / copied)),
    ratio: median(counted.map(({ written, copied }) => written / copied)),
  };
}

await withTemporaryFolder(async (folder) => {
  const sources = textOption("from", "F16,BF16").split(",");
  const targets = textOption("to", "onnx:fp16,onnx:fp32,onnx:q4,hf:fp16,gguf:fp16").split(",");
  for (const dtype of sources) await writeCheckpoint(join(folder, dtype), config, dtype);
  const rows = [];
  for (const dtype of sources) for (const to of targets) rows.push(await compare(folder, dtype, to));
  console.log(machine());
  console.log(
    renderTable(rows, [
      { heading: "from", cell: ({ from }) => from },
      { heading: "to", cell: ({ to }) => to },
      { heading: "MB", cell: ({ size }) => String(size) },
      { heading: "MB/s", cell: ({ speed }) => speed.toFixed(0) },
      { heading: "copy MB/s", cell: ({ copying }) => copying.toFixed(0) },
      { heading: "writing / copying", cell: ({ ratio }) => ratio.toFixed(2) },
    ]),
  );
});
