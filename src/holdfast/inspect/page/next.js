// A language model that goes on with a text, token by token, coloured by one unit.

import { Bars } from "./answers.js";
import { SamplingControls } from "./controls.js";
import { chooser, element, labelled, onThemeChange, shades, short, visible } from "./dom.js";
import { softmax } from "./maths.js";
import { crc32, randomNumbers } from "./random.js";
import { draw, probabilities } from "./sampling.js";
import { BEGIN, END, UNKNOWN } from "./vocabulary.js";

const SLICE = 12; // milliseconds of computing between two pictures
const TINT = 0.5; // of the full colour, so that the text on it stays readable
const PADDING = 0;

/** The text of a model, as it grows: tokens, scores after each of them, and what was inside. */
export class Writing {
  /**
   * @param model The model.
   * @param prompt Ids, one at least.
   * @param settings {temperature, top_k, top_p, seed, number, text, ends}: the random numbers depend on the seed, the
   *     number of the sample and the text of the prompt; `ends` is whether a text may end.
   */
  constructor(model, prompt, settings) {
    Object.assign(this, { model, settings, ids: [], scores: [], recordings: [], state: null, ended: false });
    this.numbers = randomNumbers([settings.seed, settings.number ?? 0, crc32(settings.text)]);
    this.never = settings.ends ? [PADDING, UNKNOWN, BEGIN] : [PADDING, UNKNOWN, BEGIN, END];
    prompt.forEach((id) => this.read(id));
    this.begin = prompt.length;
  }

  read(id) {
    const { value, state, recordings } = this.model.run([id], { state: this.state });
    this.ids.push(id);
    this.scores.push(value[0]);
    this.recordings.push(recordings);
    this.state = state;
  }

  /** Draws the next token and reads it; false where the text has ended. */
  go() {
    const scores = Float64Array.from(this.scores.at(-1));
    for (const id of this.never) scores[id] = -Infinity;
    const id = draw(probabilities(scores, this.settings), this.numbers());
    this.ended = id === END;
    if (!this.ended) this.read(id);
    return !this.ended;
  }
}

/** Recordings of single steps as one recording of all of them. */
export function joined(steps) {
  return (steps[0] ?? []).map((first, place) => {
    const join = (kind) =>
      new Map([...first[kind].keys()].map((name) => {
        const parts = steps.map((recordings) => recordings[place][kind].get(name));
        const whole = new Float32Array(parts.length * parts[0].length);
        parts.forEach((part, t) => whole.set(part, t * part.length));
        return [name, whole];
      }));
    return { ...first, steps: steps.length, gates: join("gates"), states: join("states") };
  });
}

const LAST = 200; // steps that the panel with the gates shows

/** The controls and the text. */
export class NextAnswer {
  /**
   * @param description {length, temperature, top_k, top_p, seed, ends}: the settings to start with.
   * @param input The control with the beginning of the text.
   * @param inside The panel with the gates.
   */
  constructor(description, model, input, inside) {
    Object.assign(this, { description, model, input, inside, vocabulary: input.vocabulary, unit: 0, source: 0 });
    this.sampling = new SamplingControls(description);
    const toggle = () => (this.running ? this.stop() : this.start());
    this.button = element("button", { type: "button", class: "main", onclick: toggle }, "Write");
    this.status = element("p", { class: "hint", role: "status" });
    this.text = element("div", { class: "written", tabindex: 0, role: "region", "aria-label": "The text" });
    this.text.addEventListener("click", (event) => this.pick(event));
    const recolour = () => this.colour();
    this.unitControl = element("input", { type: "number", name: "unit", value: 0, min: 0, step: 1, oninput: recolour });
    this.sources = element("div");
    this.bars = new Bars();
    this.after = element("p", { class: "hint" });
    this.build();
    onThemeChange(() => this.colour());
  }

  build() {
    const liveliest = element("button", { type: "button", onclick: () => this.liveliest() }, "Most changing unit");
    const unit = labelled("Colour by unit", this.unitControl);
    const colours = element("div", { class: "controls" }, this.sources, unit, liveliest);
    this.element = element(
      "div",
      { class: "answer" },
      element("div", { class: "controls" }, this.sampling.fields, this.button),
      this.status,
      element(
        "div",
        { class: "writing" },
        element("div", {}, this.text, colours),
        element("div", {}, element("h3", {}, "What comes next"), this.after, this.bars.element),
      ),
    );
  }

  /** Starts a text from the beginning that is typed. */
  start() {
    const { input: prompt, texts } = this.input.value();
    this.given = texts;
    const { length, ...sampling } = this.sampling.values();
    const settings = { ...sampling, text: this.input.control.value, ends: this.description.ends };
    this.stop();
    const begin = performance.now();
    this.writing = new Writing(this.model, prompt, settings);
    this.spent = performance.now() - begin;
    this.goal = length;
    this.prepareColours();
    this.running = true;
    this.button.textContent = "Stop";
    this.text.replaceChildren();
    requestAnimationFrame(() => this.continue());
  }

  continue() {
    if (!this.running) return;
    const { writing } = this;
    const begin = performance.now();
    const full = () => writing.ids.length - writing.begin >= this.goal;
    let more = !full();
    while (more && performance.now() - begin < SLICE) more = writing.go() && !full();
    this.spent += performance.now() - begin;
    this.add();
    if (more) requestAnimationFrame(() => this.continue());
    else this.stop();
  }

  stop() {
    this.running = false;
    this.button.textContent = "Write";
    if (!this.writing) return;
    const count = this.writing.ids.length;
    const end = this.writing.ended ? "; the text has ended" : "";
    const speed = `${short(this.spent / count)} ms per step`;
    this.status.textContent = `${count - this.writing.begin} tokens written${end}. ${speed}.`;
    this.first = Math.max(0, count - LAST);
    const steps = this.writing.ids.slice(this.first).map((id) => visible(this.vocabulary.tokens[id]));
    this.inside.show(joined(this.writing.recordings.slice(this.first)), steps);
    this.setStep(steps.length - 1);
    if (!this.coloured) this.liveliest();
  }

  /** Adds the new tokens to the text. */
  add() {
    const { ids } = this.writing;
    const shade = shades();
    for (let t = this.text.childElementCount; t < ids.length; t += 1) {
      const before = this.vocabulary.decode(ids.slice(Math.max(0, t - 1), t));
      const token = this.vocabulary.decode(ids.slice(Math.max(0, t - 1), t + 1)).slice(before.length);
      const unseen = ids[t] === UNKNOWN ? this.vocabulary.tokens[UNKNOWN] : null; // only a given token can be unknown
      const given = t < this.writing.begin;
      const shown = given && unseen ? token.replace(unseen, () => this.given[t]) : token;
      const span = element("span", { class: given ? "token given" : "token" }, shown);
      this.text.append(span);
      this.colourOne(span, t, shade);
    }
    this.text.scrollTop = this.text.scrollHeight;
  }

  prepareColours() {
    const first = this.writing.recordings[0];
    this.list = first.flatMap((recording, layer) =>
      [...recording.states, ...recording.gates].map(([name, values], k) => ({
        layer,
        name,
        units: values.length,
        kind: k < recording.states.size ? "states" : "gates",
        text: `layer ${layer + 1}, ${name}`,
      })));
    if (this.sources.childElementCount) return;
    const choose = (place) => {
      this.source = place;
      this.colour();
    };
    this.sources.replaceChildren(labelled("Colour by", chooser(this.list.map(({ text }) => text), choose)));
    this.source = Math.max(0, this.list.findLastIndex(({ name }) => name === "cell"));
    this.sources.querySelector("select").value = this.source;
  }

  values(t) {
    const { layer, kind, name } = this.list[this.source];
    return this.writing.recordings[t][layer][kind].get(name);
  }

  colourOne(span, t, shade) {
    const value = this.values(t)[this.unit];
    span.style.backgroundColor = `rgb(${shade(TINT * Math.max(-1, Math.min(1, value))).join(" ")})`;
    span.title = `${this.list[this.source].name}, unit ${this.unit}: ${value.toFixed(3)}`;
  }

  /** Colours the whole text by the chosen unit. */
  colour() {
    if (!this.writing) return;
    const { units } = this.list[this.source];
    this.unitControl.max = units - 1;
    this.unit = Math.min(Math.max(0, Math.round(Number(this.unitControl.value) || 0)), units - 1);
    const shade = shades();
    Array.from(this.text.children).forEach((span, t) => this.colourOne(span, t, shade));
  }

  /** Chooses the unit whose value varies most over the text. */
  liveliest() {
    if (!this.writing) return;
    this.coloured = true;
    const steps = this.writing.ids.length;
    const spread = Array.from({ length: this.list[this.source].units }, (_, unit) => {
      const column = Array.from({ length: steps }, (__, t) => Math.max(-1, Math.min(1, this.values(t)[unit])));
      const mean = column.reduce((sum, value) => sum + value, 0) / steps;
      return column.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    });
    this.unitControl.value = spread.indexOf(Math.max(...spread));
    this.colour();
  }

  pick(event) {
    const place = Array.from(this.text.children).indexOf(event.target);
    if (place >= 0 && !this.running) this.inside.go(Math.max(0, place - this.first));
  }

  /** The step that is looked at, counted from the first one in the panel. */
  setStep(step) {
    if (!this.writing || this.running) return;
    const place = this.first + step;
    this.text.querySelector(".chosen")?.classList.remove("chosen");
    this.text.children[place]?.classList.add("chosen");
    const names = this.vocabulary.tokens.map((token, id) => (id < 4 ? token : visible(token)));
    const token = visible(this.vocabulary.tokens[this.writing.ids[place]]);
    this.after.textContent = `After “${token}”, by the model alone (temperature 1):`;
    this.bars.draw(names, softmax(this.writing.scores[place]));
  }

  show() {}
}
