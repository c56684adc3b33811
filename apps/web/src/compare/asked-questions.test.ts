import { describe, expect, it } from "vitest";
import { readModelChat } from "../models/model-chat.js";
import { askNext, haveSameQuestions, NOTHING_SAID } from "./asked-questions.js";

const CHATML =
  "{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}<end>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}";
const settings = (fields: object) =>
  new Map([["tokenizer_config.json", new Blob([JSON.stringify({ bos_token: "<s>", ...fields })])]]);

describe("a conversation in the page", () => {
  it("begins with the template and goes on where the last answer ends", async () => {
    const chat = (await readModelChat(settings({ chat_template: CHATML })))!;
    const first = askNext(NOTHING_SAID, chat, "hello");
    expect(first.text).toBe("<s><user>hello<end><assistant>");
    const turns = [...first.turns, { role: "assistant", content: "hi" } as const];
    const second = askNext({ tokens: [1, 2, 3], turns }, chat, "and?");
    expect(second.text).toBe("<end><user>and?<end><assistant>");
    expect(second.turns.map(({ content }) => content)).toEqual(["hello", "hi", "and?"]);
  });

  it("is none where the model has no template", async () => {
    expect(await readModelChat(settings({}))).toBeUndefined();
    expect(await readModelChat(new Map())).toBeUndefined();
  });

  it("can be compared with another of the same questions alone", () => {
    const asked = (...questions: string[]) => ({
      tokens: [1],
      turns: questions.map((content) => ({ role: "user", content }) as const),
    });
    const answered = {
      ...asked("a"),
      turns: [...asked("a").turns, { role: "assistant", content: "b" } as const],
    };
    expect(haveSameQuestions([asked("a"), answered])).toBe(true);
    expect(haveSameQuestions([asked("a"), asked("a", "b")])).toBe(false);
    expect(haveSameQuestions([asked("a"), NOTHING_SAID])).toBe(false);
  });
});
