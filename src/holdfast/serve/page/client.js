// Requests to the server, with the token of this session.

const KEY = "holdfast-token";
const PROTOCOL = "holdfast"; // beside which a browser offers its token: it cannot send a header with a websocket

/** What the server refused, in its own sentence; status 0 where there is no answer. */
export class Refusal extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

export const token = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (value) => sessionStorage.setItem(KEY, value),
  forget: () => sessionStorage.removeItem(KEY),
};

/** The sentence in a refusal. */
async function sentence(response) {
  const text = await response.text();
  try {
    return JSON.parse(text).error ?? text;
  } catch {
    return `The server answered ${response.status} ${response.statusText}.`;
  }
}

/**
 * The response to a request.
 *
 * @param path Relative to the page.
 * @param options As for `fetch`.
 * @throws {Refusal} The server refused, or did not answer.
 */
export async function ask(path, { headers = {}, ...options } = {}) {
  const sent = token.get() ? { Authorization: `Bearer ${token.get()}`, ...headers } : headers;
  let response;
  try {
    response = await fetch(path, { ...options, headers: sent });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal("The server does not answer. Is it still running?");
  }
  if (response.ok) return response;
  const message = await sentence(response);
  if (response.status === 401) document.dispatchEvent(new CustomEvent("token", { detail: token.get() && message }));
  throw new Refusal(message, response.status);
}

/** The end of an answer that does not come. */
const broken = (error) => (error.name === "AbortError" ? error : new Refusal("The answer of the server broke off."));

/** The JSON of an answer. */
export async function askJSON(path, options) {
  const response = await ask(path, options);
  try {
    return await response.json();
  } catch (error) {
    throw broken(error);
  }
}

/** The options of a POST of JSON. */
export const posted = (value) => ({
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(value),
});

/** Server-sent events, as they come: [name, data] each. Without the last one, "done" or "error", it is a refusal. */
export async function* events(path, options) {
  const reader = (await ask(path, options)).body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read().catch((error) => {
      throw broken(error);
    });
    if (done) throw broken(new Error("it ended"));
    const blocks = (text + value).split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const field = (line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)];
      const fields = Object.fromEntries(block.split("\n").map(field));
      yield [fields.event, JSON.parse(fields.data)];
      if (fields.event === "done" || fields.event === "error") return;
    }
  }
}

/** A websocket that answers each frame, in order. */
export class Stream {
  /** @param path Relative to the page. */
  constructor(path) {
    const url = new URL(path, document.baseURI);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    this.waiting = [];
    this.path = path;
    try {
      this.socket = new WebSocket(url, token.get() ? [PROTOCOL, `bearer.${token.get()}`] : [PROTOCOL]);
    } catch (error) { // such as a token with signs that a subprotocol cannot have
      throw new Refusal(`The stream cannot be opened: ${error.message}`);
    }
    this.opened = new Promise((resolve) => this.socket.addEventListener("open", resolve, { once: true }));
    this.ended = new Promise((_, reject) => this.socket.addEventListener("close", (event) => reject(this.why(event))));
    this.ended.catch(() => {}); // it is told to those who wait for an answer
    this.socket.addEventListener("message", ({ data }) => this.waiting.shift()?.(JSON.parse(data)));
  }

  why({ reason }) {
    return new Refusal(reason || "The stream has ended: the server closed it, or cannot stream this model now.");
  }

  /** Fulfilled when frames can be sent. */
  get ready() {
    return Promise.race([this.opened, this.ended]);
  }

  /** The answer to a frame: an object, or an array of numbers. */
  async send(frame) {
    await this.ready;
    const answer = new Promise((resolve) => this.waiting.push(resolve));
    this.socket.send(frame instanceof Float32Array ? frame : JSON.stringify(frame));
    const found = await Promise.race([answer, this.ended]);
    if (found.error) throw new Refusal(found.error, 422);
    return found;
  }

  get open() {
    return this.socket.readyState <= WebSocket.OPEN;
  }

  close() {
    this.socket.close();
  }
}
