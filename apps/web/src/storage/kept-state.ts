import { modelIdentity } from "@kvfold/runtime";
import { signal } from "@preact/signals";
import { adoptPrepared, originalModel, type PreparedModel } from "../fold/fold-state.js";
import { blobFolder } from "../models/blob-folder.js";
import { chooseModel } from "../models/chosen-model.js";
import type { ModelFiles } from "../models/model-files.js";
import { messageOf } from "../ui/format.js";
import {
  deleteFolder,
  type Folder,
  type KeptFolder,
  type KeptRecord,
  keepFolder,
  listFolders,
  openStorage,
  readFolder,
} from "./kept-folders.js";

/** Folders in the browser's storage. */
export const keptFolders = signal<readonly KeptFolder[]>([]);
/** What the last action on them came to, where that is worth a word. */
export const keptNote = signal("");

const ORIGINAL = "original";

/** Looks again at what is there; a browser without storage keeps nothing. */
export async function refreshKept(): Promise<void> {
  const storage = await openStorage().catch(() => undefined);
  keptFolders.value = storage === undefined ? [] : await listFolders(storage);
}

/** Does something with the storage, and shows what is there afterwards. */
async function onStorage(doing: string, work: (storage: Folder) => Promise<string>): Promise<void> {
  keptNote.value = doing;
  try {
    keptNote.value = await work(await openStorage());
  } catch (error) {
    keptNote.value = messageOf(error);
  }
  await refreshKept();
}

/** Keeps a fold, and its original to compare it with. */
export const keepPrepared = (fold: PreparedModel): Promise<void> =>
  onStorage(`keeping ${fold.label}`, async (storage) => {
    const original = originalModel.value!;
    const identity = await identityOf(original.result.files);
    const known = await listFolders(storage);
    if (!known.some(({ id }) => id === idOf(original, identity))) await keep(storage, original, identity);
    await keep(storage, fold, identity);
    return `${fold.folder.name}, ${fold.label} is kept in this browser.`;
  });

/** Two models of one name do not replace each other. */
const idOf = ({ folder, label }: PreparedModel, identity: string): string =>
  `${folder.name} ${identity.slice(0, 8)} ${label}`;

async function identityOf(files: ModelFiles): Promise<string> {
  const source = blobFolder("the original", files);
  const data = [...files.keys()].filter((path) => path.startsWith("onnx/model.onnx_data"));
  const [graph, ...sources] = await Promise.all(
    ["onnx/model.onnx", ...data].map((path) => source.openBytes(path)),
  );
  return modelIdentity(graph!, new Map(sources.map((source, index) => [data[index]!, source!])));
}

function keep(storage: Folder, prepared: PreparedModel, identity: string): Promise<void> {
  const { folder, label, result } = prepared;
  const { files, plan, energy, seconds } = result;
  const record: KeptRecord = {
    kind: "prepared",
    model: folder.name,
    label,
    identity,
    embedded: folder.embedded === true,
    plan,
    energy,
    seconds,
  };
  return keepFolder(storage, idOf(prepared, identity), record, files);
}

/** Opens what is kept: a checkpoint to fold, or a fold beside its original. */
export const openKept = (kept: KeptFolder): Promise<void> =>
  onStorage(`opening ${nameOf(kept)}`, async (storage) => {
    const { record, id } = kept;
    if (record.kind === "incomplete") throw new Error(`${id} is not complete; load it again, or delete it`);
    if (record.kind === "prepared") return openFold(storage, kept, record);
    chooseModel({ name: record.model, files: await readFolder(storage, id) });
    return `${record.model} is open.`;
  });

async function openFold(storage: Folder, kept: KeptFolder, record: PreparedRecord): Promise<string> {
  const original = (await listFolders(storage)).find((other) => isOriginalOf(other, record));
  if (original === undefined)
    throw new Error(`the original of ${nameOf(kept)} is gone; fold the model again`);
  adoptPrepared(await prepared(storage, original), await prepared(storage, kept));
  return `${nameOf(kept)} is open: compare it below.`;
}

async function prepared(storage: Folder, { id, record }: KeptFolder): Promise<PreparedModel> {
  const { model: name, label, identity, embedded, plan, energy, seconds } = record as PreparedRecord;
  const files = await readFolder(storage, id);
  return { folder: { name, files, embedded }, label, identity, result: { files, plan, energy, seconds } };
}

type PreparedRecord = Extract<KeptRecord, { kind: "prepared" }>;

/** Deletes a folder, and an original with the last of its folds. */
export const deleteKept = (kept: KeptFolder): Promise<void> =>
  onStorage(`deleting ${nameOf(kept)}`, async (storage) => {
    const { id, record } = kept;
    await deleteFolder(storage, id);
    if (record.kind === "prepared") await deleteLonelyOriginal(storage, record);
    return `${nameOf(kept)} is deleted.`;
  });

async function deleteLonelyOriginal(storage: Folder, record: PreparedRecord): Promise<void> {
  const left = (await listFolders(storage)).filter((other) => isOf(other, record));
  if (left.every((other) => isOriginalOf(other, record)))
    for (const { id } of left) await deleteFolder(storage, id);
}

const isOf = ({ record }: KeptFolder, { model, identity }: PreparedRecord): boolean =>
  record.kind === "prepared" && record.model === model && record.identity === identity;

const isOriginalOf = (kept: KeptFolder, record: PreparedRecord): boolean =>
  isOf(kept, record) && !isChoice(kept);

/** What the page calls it. */
export function nameOf({ id, record }: KeptFolder): string {
  if (record.kind === "incomplete") return `${id} (incomplete)`;
  return record.kind === "checkpoint" ? record.model : `${record.model}, ${record.label}`;
}

/** Originals are kept and deleted with their folds: no folders to choose from. */
export const isChoice = ({ record }: KeptFolder): boolean =>
  record.kind !== "prepared" || record.label !== ORIGINAL;
