// A sequence of numbers to edit: one line per step.

import { Chart } from "./chart.js";
import { chooser, element, labelled } from "./dom.js";

/** Sequences [T, C] as lines of numbers. */
export class NumbersInput {
  /** @param description {channels, masks, names, samples}: samples are {name, values}, [T, C] each. */
  constructor({ channels, masks, names, samples }, onchange) {
    Object.assign(this, { channels, masks, names, onchange });
    this.control = element("textarea", { rows: 6, spellcheck: "false", oninput: () => this.changed() });
    const chosen = (place) => {
      this.control.value = samples[place].values.map((step) => step.join(", ")).join("\n");
      this.changed();
    };
    this.chart = new Chart("The values of each step");
    this.step = 0;
    this.element = element(
      "div",
      { class: "numbers" },
      samples.length > 1 ? labelled("Example", chooser(samples.map(({ name }) => name), chosen)) : null,
      this.chart.element,
      labelled(`One line per step: ${names.length ? names.join(", ") : `${channels} numbers`}`, this.control),
    );
    const first = samples[0]?.values ?? [new Array(channels).fill(0)];
    this.control.value = first.map((step) => step.join(", ")).join("\n");
    this.draw();
  }

  rows() {
    const lines = this.control.value.split("\n").filter((line) => line.trim());
    return lines.map((line) => line.trim().split(/[\s,;]+/u).filter(Boolean).map(Number));
  }

  value() {
    const rows = this.rows();
    const wrong = rows.findIndex((row) => row.length !== this.channels || !row.every(Number.isFinite));
    if (!rows.length) return { error: "Type one line or more." };
    if (wrong >= 0) return { error: `Line ${wrong + 1} is not ${this.channels} numbers.` };
    const input = rows.map((row) => Float64Array.from([...row, ...new Array(this.masks).fill(0)]));
    return { input, labels: input.map((_, t) => `step ${t + 1}`) };
  }

  changed() {
    this.draw();
    this.onchange();
  }

  draw() {
    const { input } = this.value();
    if (!input) return;
    const shown = Math.min(this.channels, 8);
    const lines = Array.from({ length: shown }, (_, k) => ({
      name: this.names[k] ?? `value ${k + 1}`,
      points: input.map((row, t) => [t + 1, row[k]]),
    }));
    this.chart.draw({ lines, xName: "step", cursor: this.step + 1 });
  }

  setStep(step) {
    this.step = step;
    this.draw();
  }
}
