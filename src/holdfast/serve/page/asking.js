// Asks the server for the answer to what the person gives, and shows it.

import { Refusal, askJSON, posted } from "./client.js";
import { chooser, element, labelled, short } from "./dom.js";
import { Inputs } from "./inputs.js";
import { Listening } from "./listening.js";
import { viewOf } from "./views.js";

/** The answer of a model to the last change of its input. */
export class Asking {
  /**
   * @param about What the server says of the model.
   * @param path `NAME?version=VERSION`.
   */
  constructor(about, path) {
    Object.assign(this, { about, path, answers: [], busy: false, again: false });
    const hears = about.input.kind === "sound" && about.answer.kind === "written" && about.stream;
    this.view = viewOf(about);
    this.live = hears ? new Listening(about, this) : null;
    this.inputs = new Inputs(about, () => this.soon(), this.live);
    this.view.inputs = this.inputs;
    this.view.element.hidden = true; // until there is an answer
    this.choice = element("div", { class: "choice" });
    this.status = element("p", { class: "hint", role: "status" });
    this.element = element("div", {}, this.choice, this.view.element, this.status);
    document.addEventListener("pick", this.pick);
  }

  pick = ({ detail }) => this.setStep(detail);

  start() {
    this.soon();
  }

  close() {
    document.removeEventListener("pick", this.pick);
    this.inputs.close();
    this.live?.close();
    this.closed = true;
  }

  /** Asks at the next picture; changes before it are one request. */
  soon() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.run();
    });
  }

  /** Asks; while an answer is under way, the last change waits for it. */
  async run() {
    if (this.busy) {
      this.again = true;
      return;
    }
    const given = this.inputs.given();
    if (this.closed) return;
    if (!given) {
      this.status.textContent = "Record, or choose a recording.";
      return;
    }
    if (given.error) {
      this.fail(given.error);
      return;
    }
    this.busy = true;
    const begin = performance.now();
    try {
      const answers = await this.ask(given);
      this.show(answers, given, performance.now() - begin);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.fail(error.message);
    } finally {
      this.busy = false;
      if (this.again) {
        this.again = false;
        this.soon();
      }
    }
  }

  async ask({ files, body }) {
    const { about, path } = this;
    if (about.door === "infer") return this.infer(body.examples[0]);
    if (!files) return (await askJSON(`predict/${path}`, posted(body))).answers;
    const form = new FormData();
    for (const file of files) form.append("files", file);
    return (await askJSON(`predict/${path}`, { method: "POST", body: form })).answers;
  }

  /** The outputs of an exported stream, which has tensors alone. */
  async infer(rows) {
    const { name, version, tensors } = this.about;
    const [{ name: input, datatype }] = tensors.inputs;
    const shape = [1, rows.length, rows[0].length];
    const place = `v2/models/${encodeURIComponent(name)}/versions/${encodeURIComponent(version)}/infer`;
    const { outputs } = await askJSON(place, posted({ inputs: [{ name: input, datatype, shape, data: rows.flat() }] }));
    const [{ data, shape: [, , size] }] = outputs;
    const values = data.map((value) => value ?? NaN); // JSON has no NaN
    return [{ rows: rows.map((_, t) => values.slice(t * size, (t + 1) * size)) }];
  }

  show(answers, given, milliseconds) {
    this.answers = answers;
    this.given = given;
    this.choice.replaceChildren(
      ...(answers.length > 1 && this.about.answer.kind !== "forecast"
        ? [labelled(`${answers.length} answers`, chooser(answers.map(({ origin }) => origin), (k) => this.open(k)))]
        : []));
    this.status.classList.remove("wrong");
    if (!answers.length) this.fail("There is no example in it.");
    else {
      if (given.rows) this.inputs.setStep(given.rows.length - 1);
      this.open(0);
      this.status.textContent = `Answered in ${short(milliseconds)} ms.`;
    }
  }

  open(place) {
    this.view.element.hidden = false;
    this.view.show(this.answers[place], this.given, this.answers);
  }

  fail(message) {
    this.status.classList.add("wrong");
    this.status.textContent = message;
  }

  setStep(step) {
    this.inputs.setStep(step);
    this.view.setStep(step);
  }
}
