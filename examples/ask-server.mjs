/**
 * Asks a server of `kvfold serve`, or any other with an OpenAI-compatible API, and prints the answer as it comes.
 * `node examples/ask-server.mjs [ADDRESS] [PROMPT] [TOKENS]`
 */
const [address = "http://127.0.0.1:8000", prompt = "It was a dark and stormy night", count = "48"] =
  process.argv.slice(2);

const response = await fetch(`${address}/v1/completions`, {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ prompt, max_tokens: Number(count), temperature: 0, stream: true }),
});
if (!response.ok) throw new Error(`${response.status}: ${(await response.json()).error.message}`);

process.stdout.write(prompt);
let rest = "";
for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
  const events = (rest + chunk).split("\n\n");
  rest = events.pop();
  for (const event of events) {
    const data = event.slice("data: ".length);
    if (data !== "[DONE]") process.stdout.write(JSON.parse(data).choices[0].text);
  }
}
process.stdout.write("\n");
