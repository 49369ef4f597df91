// A text that goes on, piece by piece, as the server writes it.

import { Refusal, events, posted } from "./client.js";
import { SamplingControls } from "./controls.js";
import { element, short } from "./dom.js";
import { TypedText } from "./text.js";

/** The settings, a button, and the text. */
export class Writer {
  constructor({ input, answer }, path) {
    Object.assign(this, { path, abort: null, queue: "" });
    this.sampling = new SamplingControls(answer);
    this.input = new TypedText("The text begins with", input.samples, () => {}, true);
    const toggle = () => (this.abort ? this.abort.abort() : this.write());
    this.button = element("button", { type: "button", class: "main", onclick: toggle }, "Write");
    this.status = element("p", { class: "hint", role: "status" });
    this.text = element("div", { class: "written", tabindex: 0, role: "region", "aria-label": "The text" });
    this.element = element(
      "div",
      { class: "answer" },
      element("div", { class: "controls" }, this.sampling.fields, this.button),
      this.text,
      this.status,
    );
  }

  async write() {
    this.abort = new AbortController();
    this.button.textContent = "Stop";
    this.status.textContent = "Writing …";
    this.status.classList.remove("wrong");
    this.given = element("span", { class: "token given" });
    this.rest = element("span", { class: "token" });
    this.text.replaceChildren(this.given, this.rest);
    const begin = performance.now();
    const pieces = [];
    const body = { prompt: this.input.control.value, options: this.sampling.values(), stream: true };
    try {
      const options = { ...posted(body), signal: this.abort.signal };
      for await (const [name, data] of events(`generate/${this.path}`, options)) {
        if (name === "error") throw new Refusal(data.error);
        if (name === "prompt") this.given.textContent = data.prompt;
        if (name === "piece") {
          pieces.push(performance.now());
          this.add(data.piece);
        }
      }
      this.status.textContent = this.said(begin, pieces, "");
    } catch (error) {
      if (error.name === "AbortError") this.status.textContent = this.said(begin, pieces, "Stopped. ");
      else if (error instanceof Refusal) {
        this.status.classList.add("wrong");
        this.status.textContent = error.message;
      } else throw error;
    } finally {
      this.flush();
      this.abort = null;
      this.button.textContent = "Write";
    }
  }

  /** Shows a piece at the next picture, with those that come before it. */
  add(piece) {
    if (!this.queue) requestAnimationFrame(() => this.flush());
    this.queue += piece;
  }

  flush() {
    this.rest.append(this.queue);
    this.queue = "";
    this.text.scrollTop = this.text.scrollHeight;
  }

  said(begin, pieces, before) {
    if (!pieces.length) return `${before}Nothing was written.`;
    const each = (pieces.at(-1) - pieces[0]) / Math.max(1, pieces.length - 1);
    const first = `the first one after ${short(pieces[0] - begin)} ms, then ${short(each)} ms each`;
    return `${before}${pieces.length} pieces: ${first}.`;
  }

  start() {
    this.write();
  }

  close() {
    this.abort?.abort();
  }
}
