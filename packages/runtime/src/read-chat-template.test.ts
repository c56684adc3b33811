import { describe, expect, it } from "vitest";
import { type ChatFiles, nextTurn, readChatTemplate } from "./read-chat-template.js";

/** A library whose templates are functions' names. */
class Library {
  readonly #source: string;

  constructor(source: string) {
    if (source === "broken") throw new Error("no template");
    this.#source = source;
  }

  render(variables: Record<string, unknown>): string {
    if (this.#source === "refuses") throw new Error("roles must alternate");
    const messages = variables.messages as { role: string; content: string }[];
    const bos = (variables.bos_token as string | undefined) ?? "";
    const shown = this.#source === "last" ? messages.slice(-1) : messages;
    return `${bos}${shown.map(({ role, content }) => `<${role}>${content}`).join("")}`;
  }
}

const read = (files: Omit<ChatFiles, "model">) => readChatTemplate(Library, { model: "m", ...files });
const hello = [{ role: "user", content: "hello" }] as const;

describe("readChatTemplate", () => {
  it("takes chat_template.jinja before the field of the settings, and gives it special tokens", () => {
    const settings = JSON.stringify({ chat_template: "refuses", bos_token: { content: "<s>" } });
    expect(read({ template: "all", settings })!(hello)).toBe("<s><user>hello");
    expect(() => read({ settings })!(hello)).toThrow(/m\/tokenizer_config.json: .* \(roles must alternate\)/);
  });

  it("finds none where there is none", () => {
    expect(read({})).toBeUndefined();
    expect(read({ settings: "null" })).toBeUndefined();
  });

  it("refuses what cannot be read", () => {
    expect(() => read({ settings: "{" })).toThrow("m/tokenizer_config.json is not JSON");
    expect(() => read({ template: "broken" })).toThrow("cannot be read (no template)");
    expect(() => read({ settings: '{"chat_template": []}' })).toThrow("lists nothing");
  });
});

describe("nextTurn", () => {
  it("is what follows an answer", () => {
    expect(nextTurn(read({ template: "all" })!, "and then?")).toBe("<user>and then?");
  });

  it("is refused where earlier answers are left out", () => {
    expect(() => nextTurn(read({ template: "last" })!, "x")).toThrow("leaves out earlier answers");
  });
});
