import { join } from "node:path";
import { checkTokens, tokenWindows } from "@kvfold/calibration";
import { readFolderConfig } from "../../../apps/cli/src/models/folder-config.js";
import { loadChatTemplate } from "../../../apps/cli/src/tokens/chat-template.js";
import { ordinaryTokens } from "../../../apps/cli/src/tokens/ordinary-tokens.js";
import { readTokens, tokenFile } from "../../../apps/cli/src/tokens/read-tokens.js";
import { documentBos, folderVocabulary } from "../../../apps/cli/src/tokens/vocabulary.js";
import { fault, type Verdict } from "./judge-error.js";

const VOCABULARY = 96;
const WINDOW = 8;

/** Reads a file of token ids or text and cuts it into windows. */
export async function tryTokens(folder: string, file: string): Promise<Verdict> {
  const vocabulary = folderVocabulary(folder, { vocabSize: VOCABULARY, bosToken: 0 });
  const tokens = await readTokens({ files: [tokenFile(join(folder, file))], vocabulary });
  if (tokens.some((token) => token < 0 || token >= VOCABULARY))
    return fault("a token beyond the vocabulary", file);
  const windows = tokenWindows(tokens, { length: WINDOW, source: file });
  return windows.every(({ length }) => length === WINDOW)
    ? { outcome: "loaded", detail: "tokens" }
    : fault("a window of another length", file);
}

/** Does with a tokenizer and the files around it what `kvfold generate` does. */
export async function tryTokenizer(folder: string): Promise<Verdict> {
  const { vocabSize, bosToken } = await readFolderConfig(folder);
  const vocabulary = folderVocabulary(folder, { vocabSize, bosToken });
  const tokenizer = await vocabulary.loadTokenizer();
  documentBos(tokenizer, vocabulary);
  const ids = tokenizer.encode("hello world!\n</s> é🙂");
  checkTokens(ids, { vocabSize: VOCABULARY, source: "prompt.txt", nameOf: tokenizer.nameOf });
  if (typeof tokenizer.decode([...ids, 3, 95, 100_000]) !== "string") return fault("a text that is none", "");
  (await ordinaryTokens(folder))(1);
  const write = await loadChatTemplate(folder);
  write([{ role: "user", content: "hello" }]);
  return { outcome: "loaded", detail: "tokenizer" };
}
