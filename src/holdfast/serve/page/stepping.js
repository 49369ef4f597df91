// A stream that takes the sequence of the input step by step, with its gates as they are.

import { Refusal, Stream } from "./client.js";
import { element } from "./dom.js";
import { Latency, LiveRecordings, streamPath } from "./gates.js";
import { Inside } from "./inside.js";

const SLOWEST = 400; // milliseconds from a step to the next one
const WHOLE = 8000; // milliseconds for a sequence of many steps
const MOST = 2000; // steps

/** Buttons that move a stream, the time of each step, and the gates. */
export class Stepping {
  title = "Inside, while it steps";

  constructor(about, asking) {
    Object.assign(this, { about, asking, stream: null, running: false, loops: false, last: Promise.resolve() });
    const button = (text, onclick) => element("button", { type: "button", onclick }, text);
    this.play = button("Step through", () => (this.running ? this.stop() : this.run()));
    this.play.classList.add("main");
    this.one = button("One step", () => this.guarded(() => this.step()));
    this.again = button("Begin again", () => this.reset());
    this.status = element("p", { class: "hint", role: "status" });
    this.times = element("p", { class: "hint" });
    this.inside = new Inside((step) => asking.setStep(step));
    this.inside.element.hidden = true;
    this.inside.button.hidden = true; // the stream itself is stepped
    this.element = element(
      "div",
      {},
      element("p", { class: "hint" }, "The server takes one step at a time and keeps the state between two steps."),
      element("div", { class: "controls" }, this.play, this.one, this.again),
      this.status,
      this.times,
      this.inside.element,
    );
  }

  /** The rows to step through; a changed input begins a new sequence. */
  sequence() {
    const found = this.asking.inputs.sequence();
    if (!found) throw new Refusal("A file cannot be stepped through; give the sequence above.");
    if (found.error) throw new Refusal(found.error);
    const rows = found.rows.slice(0, MOST);
    const key = JSON.stringify(rows);
    if (key !== this.key || !this.stream?.open) {
      Object.assign(this, { key, rows, labels: found.labels.slice(0, MOST), place: 0 });
    }
  }

  /** Takes the next step when the one before it is answered; the first one begins a sequence. */
  step() {
    const done = this.last.then(() => this.next());
    this.last = done.catch(() => {}); // the error is told to the one who asked
    return done;
  }

  async next() {
    this.sequence();
    if (this.place >= this.rows.length) this.place = 0;
    if (!this.stream?.open) this.stream = new Stream(streamPath(this.about));
    const first = this.place === 0;
    if (first) this.clear();
    await this.stream.ready;
    const begin = performance.now();
    const { output, inside } = await this.stream.send({ input: this.rows[this.place], reset: first });
    this.latency.add(performance.now() - begin);
    this.place += 1;
    this.outputs.push(output.map((value) => value ?? NaN));
    this.recordings.add(inside);
    this.show(first);
  }

  clear() {
    Object.assign(this, { recordings: new LiveRecordings(this.rows.length), outputs: [], latency: new Latency() });
  }

  show(first) {
    const { rows, place, inside, recordings } = this;
    inside.stop();
    inside.element.hidden = false;
    if (first) inside.show(recordings.layers, this.labels, 0);
    this.asking.view.fill(this.outputs);
    inside.draw();
    inside.go(place - 1);
    this.times.textContent = `Step ${place} of ${rows.length}; time per step: ${this.latency.text}.`;
  }

  async run() {
    this.running = true;
    this.play.textContent = "Pause";
    this.status.textContent = "";
    if (this.loops) return; // since before a short pause: it goes on
    this.loops = true;
    try {
      await this.guarded(() => this.loop());
    } finally {
      this.loops = false;
      this.stop();
    }
  }

  async loop() {
    this.sequence();
    if (this.place >= this.rows.length) this.place = 0;
    do {
      await this.step();
      await new Promise((done) => setTimeout(done, Math.min(SLOWEST, WHOLE / this.rows.length)));
    } while (this.running && this.place < this.rows.length);
    if (this.place >= this.rows.length) this.status.textContent = "The sequence has ended.";
  }

  async guarded(action) {
    this.status.classList.remove("wrong");
    try {
      await action();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.status.classList.add("wrong");
      this.status.textContent = error.message;
      this.reset();
    }
  }

  stop() {
    this.running = false;
    this.play.textContent = "Step through";
  }

  reset() {
    this.stop();
    this.key = null;
  }

  close() {
    this.stop();
    this.inside.stop();
    this.stream?.close();
  }
}
