/** The page: it shows the conversation, and a worker answers. */
const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
const form = document.querySelector("form");
const list = document.querySelector("#messages");
const status = document.querySelector("#status");
const messages = [];

function show(text) {
  const item = document.createElement("li");
  item.textContent = text;
  return list.appendChild(item);
}

let answer;
worker.addEventListener("message", ({ data }) => {
  if (data.text !== undefined) answer.textContent += data.text;
  if (data.status !== undefined) status.textContent = data.status;
  if (data.done) messages.push({ role: "assistant", content: answer.textContent });
  if (data.done || data.ready) form.dataset.ready = "yes";
});
worker.addEventListener("error", ({ message }) => {
  status.textContent = message;
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (form.dataset.ready !== "yes") return; // one answer at a time
  delete form.dataset.ready;
  const { message } = form.elements;
  messages.push({ role: "user", content: message.value });
  show(message.value);
  answer = show("");
  worker.postMessage(messages);
  form.reset();
});
