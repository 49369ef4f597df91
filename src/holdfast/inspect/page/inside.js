// What is inside while the model reads: the gates and states of a layer over the steps, up to a step that can be moved.

import { chooser, element, labelled, onThemeChange, shades } from "./dom.js";

const PLAY = 450; // milliseconds per step
const TALLEST = 160; // of a map on the page, in pixels

const WORDS = {
  input: "How much of the candidate is written",
  forget: "How much of the cell is kept",
  candidate: "What could be written",
  output: "How much of the cell is shown",
  reset: "How much of the past is read",
  update: "How much of the old state is kept",
  hidden: "The output of each unit",
  cell: "The memory of each unit",
};

const isGate = (name) => ["input", "forget", "output", "reset", "update"].includes(name);

/** One gate or state: columns are steps, rows are units. */
class Map2D {
  constructor(name) {
    this.name = name;
    this.canvas = element("canvas", { role: "img" });
    this.later = element("div", { class: "later" });
    this.text = element("p", { class: "numbers-text" });
    const title = isGate(name) ? `${name} gate` : { hidden: "hidden state h", cell: "cell state c" }[name] ?? name;
    this.element = element(
      "figure",
      { class: "map" },
      element("figcaption", {}, element("strong", {}, title), ` ${WORDS[name] ?? ""}`),
      element("div", { class: "picture" }, this.canvas, this.later),
      this.text,
    );
  }

  draw(values, steps) {
    const units = values.length / steps;
    const { canvas } = this;
    [canvas.width, canvas.height] = [steps, units];
    canvas.style.height = `${Math.min(TALLEST, Math.max(40, 3 * units))}px`;
    const context = canvas.getContext("2d");
    const image = context.createImageData(steps, units);
    const shade = shades();
    const table = Array.from({ length: 201 }, (_, k) => shade((k - 100) / 100));
    values.forEach((value, k) => {
      const place = 4 * ((k % units) * steps + Math.floor(k / units));
      const [red, green, blue] = table[100 + Math.round(100 * Math.max(-1, Math.min(1, value)))] ?? table[100];
      image.data[place] = red;
      image.data[place + 1] = green;
      image.data[place + 2] = blue;
      image.data[place + 3] = 255;
    });
    context.putImageData(image, 0, 0);
    Object.assign(this, { values, steps, units });
  }

  /** Covers the steps after `step`, and says what is at `step`. */
  mark(step) {
    const { steps, units } = this;
    this.later.style.width = `${(100 * (steps - 1 - step)) / steps}%`;
    this.text.textContent = this.said(this.values.subarray(step * units, (step + 1) * units));
    const label = `${this.name}, ${units} units over ${steps} steps. ${this.text.textContent}`;
    this.canvas.setAttribute("aria-label", label);
  }

  said(values) {
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const count = (test) => values.filter(test).length;
    if (!isGate(this.name)) {
      const large = count((value) => Math.abs(value) > 0.5);
      return `mean ${mean.toFixed(2)}; ${large} of ${values.length} beyond ±0.5`;
    }
    const [open, shut] = [count((value) => value > 0.9), count((value) => value < 0.1)];
    return `mean ${mean.toFixed(2)}; ${open} of ${values.length} open, ${shut} shut`;
  }
}

const spoken = (name) => {
  const [, stack, number, reverse] = /^(?:(.*)\.)?l(\d+)(_reverse)?$/u.exec(name) ?? [null, name, "0", ""];
  const layer = `layer ${Number(number) + 1}${reverse ? ", backwards" : ""}`;
  return stack && stack !== "recurrent" ? `${stack}, ${layer}` : layer;
};

/** The panel with the maps of one layer, and the step that is looked at. */
export class Inside {
  /** @param onstep Called with a step when it changes. */
  constructor(onstep) {
    this.onstep = onstep;
    this.recordings = [];
    this.layer = 0;
    this.step = 0;
    this.timer = null;
    this.slider = element("input", { type: "range", min: 0, value: 0, oninput: () => this.moved() });
    this.where = element("output", { class: "where" });
    const toggle = () => (this.timer ? this.stop() : this.play());
    this.button = element("button", { type: "button", onclick: toggle }, "Play");
    this.layers = element("div", { class: "layer" });
    this.maps = element("div", { class: "maps" });
    this.element = element(
      "div",
      { class: "inside" },
      element("div", { class: "controls" }, this.button, labelled("Step", this.slider), this.where, this.layers),
      element(
        "p",
        { class: "hint scale" },
        "One column per step, one line per unit: ",
        [["low", "-1"], ["zero", "0"], ["high", "1"]].map(([kind, text]) =>
          element("span", { class: "entry" }, element("span", { class: `swatch ${kind}` }), text)),
      ),
      this.maps,
    );
    onThemeChange(() => this.shown && this.draw());
  }

  /** New recordings of a run, and a name for each step. */
  show(recordings, labels, step = labels.length - 1) {
    const names = recordings.map(({ name }) => name).join(" ");
    if (names !== this.names) {
      this.names = names;
      this.layer = 0;
      const choose = (place) => {
        this.layer = place;
        this.open();
      };
      const list = recordings.map(({ name }) => spoken(name));
      this.layers.replaceChildren(...(list.length > 1 ? [labelled("Layer", chooser(list, choose))] : []));
    }
    Object.assign(this, { recordings, labels, step: Math.min(Math.max(step, 0), labels.length - 1) });
    this.slider.max = labels.length - 1;
    this.slider.value = this.step;
    this.open();
  }

  open() {
    const { gates, states } = this.recordings[this.layer];
    this.shown = new Map([...gates, ...states].map(([name, values]) => [new Map2D(name), values]));
    this.maps.replaceChildren(...[...this.shown.keys()].map((map) => map.element));
    this.draw();
  }

  draw() {
    for (const [map, values] of this.shown) map.draw(values, this.labels.length);
    this.mark();
  }

  mark() {
    for (const map of this.shown.keys()) map.mark(this.step);
    const text = `${this.labels[this.step]} (${this.step + 1} of ${this.labels.length})`;
    this.where.textContent = text;
    this.slider.setAttribute("aria-valuetext", text);
  }

  moved() {
    this.stop();
    this.go(Number(this.slider.value));
  }

  go(step) {
    this.step = step;
    this.slider.value = step;
    this.mark();
    this.onstep(step);
  }

  play() {
    this.button.textContent = "Pause";
    this.go(0);
    this.timer = setInterval(() => {
      if (this.step + 1 < this.labels.length) this.go(this.step + 1);
      else this.stop();
    }, Math.max(60, Math.min(PLAY, 9000 / this.labels.length)));
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.button.textContent = "Play";
  }
}
