// The microphone: a recording as a WAV file, and its sound while it is recorded.

import { Refusal } from "./client.js";
import { element } from "./dom.js";
import { Resampler, wavFile } from "./sound.js";

const LONGEST = 60; // seconds
const NEEDS = "The microphone needs a page by https or of this machine; choose a recording instead.";
const PLAIN = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };

/** A button that records, and the level of the sound. */
export class Microphone {
  /**
   * @param rate Samples per second that the model reads.
   * @param onchange Called when a recording has ended, if nothing took its sound.
   * @param live {begin, hear, finish} take the sound at this rate while it is recorded; null for none.
   */
  constructor(rate, onchange, live) {
    Object.assign(this, { rate, onchange, live, file: null, recording: null });
    this.button = element("button", { type: "button", class: "main", onclick: () => this.toggle() }, "Record");
    this.level = element("meter", { min: 0, max: 1, value: 0, "aria-label": "Level of the sound" });
    this.status = element("p", { class: "hint", role: "status" });
    this.player = element("div", { class: "preview" });
    this.element = element(
      "div",
      { class: "microphone" },
      element("div", { class: "controls" }, this.button, this.level),
      this.status,
      this.player,
    );
    if (!navigator.mediaDevices) {
      this.button.disabled = true;
      this.say(NEEDS);
    }
  }

  say(text, wrong = false) {
    this.status.textContent = text;
    this.status.classList.toggle("wrong", wrong);
  }

  async toggle() {
    if (this.recording) await this.end();
    else await this.begin();
  }

  async begin() {
    this.button.disabled = true;
    this.wrong = false;
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: PLAIN });
    } catch (error) {
      this.say(`The microphone cannot be used: ${error.message}.`, true);
      this.button.disabled = false;
      return;
    }
    const context = new AudioContext();
    await context.audioWorklet.addModule(new URL("recorder.js", import.meta.url));
    if (this.closed) { // another model was chosen meanwhile
      for (const track of stream.getTracks()) track.stop();
      context.close();
      return;
    }
    const node = new AudioWorkletNode(context, "recorder", { numberOfInputs: 1, numberOfOutputs: 0, channelCount: 1 });
    const resampler = new Resampler(context.sampleRate, this.rate);
    this.recording = { stream, context, node, resampler, chunks: [], count: 0, sent: Promise.resolve() };
    this.live?.begin();
    node.port.onmessage = ({ data }) => this.take(data);
    context.createMediaStreamSource(stream).connect(node);
    this.button.textContent = "Stop";
    this.button.disabled = false;
    this.say("Listening …");
  }

  take(samples) {
    const { recording } = this;
    if (!recording) return;
    const { context, resampler } = recording;
    recording.count += samples.length;
    recording.chunks.push(samples);
    this.level.value = Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length) * 3;
    if (this.live) this.send(resampler.push(samples));
    if (recording.count >= LONGEST * context.sampleRate) this.end();
  }

  /** Sends a chunk after those before it. */
  send(chunk) {
    const { recording } = this;
    recording.sent = recording.sent.then(() => this.live.hear(chunk)).catch((error) => this.refused(error));
  }

  refused(error) {
    if (!(error instanceof Refusal)) throw error;
    this.wrong = true;
    this.say(error.message, true);
    this.stop();
  }

  /** Stops recording; the sound so far is the example. */
  async end() {
    const { recording } = this;
    const { context, resampler, chunks, count } = recording;
    if (this.live) this.send(resampler.finish());
    const { sent } = recording;
    const { sampleRate } = context;
    this.stop();
    const whole = new Float32Array(count);
    chunks.reduce((place, chunk) => {
      whole.set(chunk, place);
      return place + chunk.length;
    }, 0);
    this.hold(wavFile(whole, sampleRate, "recording.wav"));
    const seconds = `${(count / sampleRate).toFixed(1)} seconds`;
    if (!this.live) {
      this.say(`${seconds} recorded.`);
      this.onchange();
      return;
    }
    await sent;
    if (this.wrong) return;
    try {
      await this.live.finish();
      this.say(`${seconds} heard.`);
    } catch (error) {
      this.refused(error);
    }
  }

  /** Keeps a recording, to be heard and sent. */
  hold(file) {
    if (this.url) URL.revokeObjectURL(this.url);
    this.file = file;
    this.url = URL.createObjectURL(file);
    this.player.replaceChildren(element("audio", { src: this.url, controls: true, "aria-label": "The recording" }));
  }

  /** Lets the microphone go. */
  stop() {
    if (!this.recording) return;
    const { stream, context, node } = this.recording;
    this.recording = null;
    node.port.onmessage = null;
    for (const track of stream.getTracks()) track.stop();
    context.close();
    this.level.value = 0;
    this.button.textContent = "Record";
  }

  close() {
    this.closed = true;
    this.stop();
    if (this.url) URL.revokeObjectURL(this.url);
  }

  given() {
    return this.file ? { files: [this.file] } : null;
  }

  setStep() {}
}
