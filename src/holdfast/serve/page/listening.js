// A transcript while the sound arrives, with the gates of the last steps.

import { Stream } from "./client.js";
import { element } from "./dom.js";
import { Latency, LiveRecordings, streamPath } from "./gates.js";
import { Inside } from "./inside.js";

const SHOWN = 200; // steps

/** The stream of one recording after the other. */
export class Listening {
  title = "Inside, while it listens";

  constructor(about, asking) {
    Object.assign(this, { about, asking, stream: null });
    this.times = element("p", { class: "hint" }, "Speak into the microphone to see the gates of each step.");
    this.inside = new Inside(() => {});
    this.inside.element.hidden = true;
    this.inside.button.hidden = true;
    this.element = element("div", {}, this.times, this.inside.element);
    this.begin();
  }

  /** Begins a recording. */
  begin() {
    Object.assign(this, { recordings: new LiveRecordings(SHOWN), latency: new Latency() });
    this.labels = Array.from({ length: SHOWN }, (_, t) => `step ${t + 1}`);
    if (this.stream && (!this.stream.open || !this.whole)) { // what it has heard is not of this recording
      this.stream.close();
      this.stream = null;
    }
  }

  /** Sends a chunk of sound at the rate of the model, and writes the text so far. */
  async hear(samples) {
    this.stream ??= new Stream(streamPath(this.about));
    this.whole = false;
    await this.stream.ready;
    const begin = performance.now();
    const answer = await this.stream.send(samples);
    this.latency.add(performance.now() - begin);
    this.show(answer);
  }

  /** The text of the whole recording. */
  async finish() {
    const answer = await this.stream.send({ end: true });
    this.whole = true;
    this.show(answer);
    return answer.text;
  }

  show({ text, inside }) {
    this.asking.view.element.hidden = false;
    this.asking.view.write(text);
    this.asking.status.textContent = "";
    if (!inside) return;
    const first = !this.recordings.count;
    this.recordings.add(inside);
    const { last, count } = this.recordings;
    this.inside.element.hidden = false;
    if (count > SHOWN) this.labels = this.labels.map((_, t) => `step ${count - SHOWN + t + 1}`);
    if (first) this.inside.show(this.recordings.layers, this.labels, last);
    this.inside.labels = this.labels;
    this.inside.draw();
    this.inside.go(last);
    this.times.textContent = `${count} steps; time per chunk of sound: ${this.latency.text}.`;
  }

  close() {
    this.inside.stop();
    this.stream?.close();
  }
}
