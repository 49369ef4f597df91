// What a model answers: labels, tags, numbers, forecasts.

import { Chart } from "./chart.js";
import { element, percent, short, stepList } from "./dom.js";
import { sigmoid, softmax } from "./maths.js";

const MOST_BARS = 12;
const MOST_LINES = 5;
const MOST_ROWS = 200; // of a table
const MOST_PREFIXES = 128; // longer sequences, and those that take more work, are read as a whole only
const MOST_WORK = 3e8; // multiplications, about half a second
const PAUSE = 150; // milliseconds after the last change

/** A table of numbers with a line of heads. */
function table(heads, body) {
  const line = element("tr", {}, heads.map((head) => element("th", { scope: "col" }, head)));
  return element("table", { class: "values" }, element("thead", {}, line), body);
}

/** Names with a share each, the largest first, as bars and text. */
export class Bars {
  constructor() {
    this.element = element("ol", { class: "bars" });
  }

  draw(names, shares) {
    const order = Array.from(shares.keys()).sort((a, b) => shares[b] - shares[a] || a - b).slice(0, MOST_BARS);
    this.element.replaceChildren(...order.map((place) => {
      const bar = element("span", { class: "bar", "aria-hidden": "true" });
      bar.style.width = `${100 * shares[place]}%`;
      const line = [element("span", { class: "name" }, names[place]), element("span", { class: "track" }, bar),
        element("span", { class: "share" }, percent(shares[place]))];
      return element("li", {}, ...line);
    }));
  }
}

/** Computes what a model would say after each step of an input, a moment after the last change of it. */
class Prefixes {
  constructor(model) {
    this.model = model;
  }

  /** Calls `done` with the values after the first step, the first two, ...; with none where there are too many. */
  ask({ input }, done) {
    clearTimeout(this.timer);
    if (input.length > MOST_PREFIXES || this.model.prefixCost(input) > MOST_WORK) return;
    this.timer = setTimeout(() => done(this.model.prefixes(input)), PAUSE);
  }
}

/** Scores of labels as probabilities: of one label, or of each by itself. */
export function labelShares(scores, several) {
  return several ? Float64Array.from(scores, sigmoid) : softmax(scores);
}

/** The probabilities of labels, also after each step. */
export class LabelsView {
  /** @param several Whether a sequence may have several labels. */
  constructor(several) {
    Object.assign(this, { several });
    this.verdict = element("p", { class: "verdict", "aria-live": "polite" });
    this.after = element("p", { class: "hint" });
    this.bars = new Bars();
    this.chart = new Chart("The probability of labels after each step");
    this.element = element("div", { class: "answer" }, this.verdict, this.bars.element, this.after, this.chart.element);
  }

  /** The probabilities `final` of `names` after all steps, and a text for each step. */
  open(names, final, labels) {
    Object.assign(this, { names, final, labels, shares: [] });
    const best = final.indexOf(Math.max(...final));
    const likely = names.filter((_, k) => final[k] >= 0.5);
    this.verdict.textContent = this.several ? likely.join(", ") || "none of the labels" : names[best];
    this.setStep(labels.length - 1);
  }

  /** The probabilities after each step. */
  fill(shares) {
    this.shares = shares;
    this.setStep(this.step);
  }

  setStep(step) {
    this.step = step;
    const shares = this.shares[step] ?? this.final;
    this.bars.draw(this.names, shares);
    const whole = step + 1 >= this.labels.length || !this.shares.length;
    this.after.textContent = whole ? "After all steps." : `After ${step + 1} of ${this.labels.length} steps.`;
    this.chart.element.hidden = this.shares.length < 2;
    if (this.chart.element.hidden) return;
    const most = this.names.map((_, k) => Math.max(...this.shares.map((row) => row[k])));
    const order = this.names.map((_, k) => k).sort((a, b) => this.final[b] - this.final[a] || most[b] - most[a]);
    const lines = order.slice(0, MOST_LINES).map((k) => ({
      name: this.names[k],
      points: this.shares.map((row, t) => [t + 1, row[k]]),
    }));
    const xText = (x) => this.labels[x - 1] ?? "";
    this.chart.draw({ lines, xText, cursor: step + 1, yName: "probability" });
  }
}

/** The same for a model on this page. */
export class LabelsAnswer extends LabelsView {
  /** @param description {several}. */
  constructor({ several }, model) {
    super(several);
    this.model = model;
    this.prefixes = new Prefixes(model);
  }

  show(result, value) {
    const shares = (scores) => labelShares(scores, this.several);
    this.open(this.model.labels, shares(result.value), value.labels);
    this.prefixes.ask(value, (scores) => this.fill(scores.map(shares)));
  }
}

/** A tag for each step. */
export class TagsView {
  constructor() {
    this.verdict = element("p", { class: "verdict", "aria-live": "polite" });
    this.steps = stepList("tagged");
    this.bars = new Bars();
    this.element = element("div", { class: "answer" }, this.verdict, this.steps, this.bars.element);
  }

  /**
   * @param words A text for each step.
   * @param tags The number of its tag.
   * @param names The tags.
   * @param shares The probabilities of all tags at each step; null where they are not known.
   * @param said A sentence above the steps.
   */
  open(words, tags, names, shares, said = "") {
    Object.assign(this, { words, tags, names, shares });
    this.verdict.hidden = !said;
    this.verdict.textContent = said;
    this.setStep(words.length - 1);
  }

  setStep(step) {
    const chips = this.tags.map((tag, t) =>
      element(
        "li",
        { class: `chip tag-${tag % 8}${t === step ? " chosen" : ""}`, "aria-current": t === step ? "step" : null },
        element("span", { class: "word" }, this.words[t]),
        element("span", { class: "tag" }, this.names[tag]),
      ));
    this.steps.replaceChildren(...chips);
    if (this.shares) this.bars.draw(this.names, this.shares[step]);
  }
}

/** The same for a model on this page; for sums, also the number that the bits make. */
export class TagsAnswer extends TagsView {
  /** @param description {names, sum}. With two names, the only score is the second one's before a sigmoid. */
  constructor({ names, sum }) {
    super();
    this.description = { names, sum };
  }

  show(result, value) {
    const shares = result.value.map((scores) => tagShares(scores));
    const tags = shares.map((row) => row.indexOf(Math.max(...row)));
    this.open(value.labels, tags, this.description.names, shares, this.description.sum ? summed(tags, value) : "");
  }
}

function summed(tags, { numbers: [a, b] }) {
  const total = tags.reduce((sum, bit, place) => sum + bit * 2 ** place, 0);
  return sumText(a, b, total);
}

/** A sum, and whether it is right. */
export function sumText(a, b, total) {
  return `${a} + ${b} = ${total} (${total === a + b ? "right" : `wrong: it is ${a + b}`})`;
}

export function tagShares(scores) {
  if (scores.length > 1) return softmax(scores);
  const share = sigmoid(scores[0]);
  return Float64Array.of(1 - share, share);
}

/** Numbers of a sequence, or of each of its steps; with quantiles, a band. */
export class ValuesView {
  /** @param description {names, quantiles, per_step}. */
  constructor({ names, quantiles, per_step }) {
    Object.assign(this, { names, quantiles, per_step });
    this.table = element("tbody");
    const heads = quantiles.length > 1 ? quantiles.map((level) => `${short(100 * level)} %`) : ["value"];
    this.chart = new Chart(per_step ? "The values at each step" : "The values after each step");
    this.element = element("div", { class: "answer" }, table(["", ...heads], this.table), this.chart.element);
  }

  /** The numbers `final` after all steps, those of each step if they are known, and the step that is looked at. */
  open(final, rows, step) {
    this.final = final;
    this.rows = rows;
    this.setStep(step);
  }

  /** The numbers of each step. */
  fill(rows) {
    this.rows = rows;
    this.setStep(this.step);
  }

  setStep(step) {
    this.step = step;
    const Q = this.quantiles.length;
    const row = this.rows[step] ?? this.final;
    const cells = (k) => Array.from(row.slice(k * Q, (k + 1) * Q), (number) => element("td", {}, short(number)));
    this.table.replaceChildren(
      ...this.names.map((name, k) => element("tr", {}, element("th", { scope: "row" }, name), cells(k))));
    this.chart.element.hidden = this.rows.length < 2;
    if (this.chart.element.hidden) return;
    const middle = Math.floor(Q / 2);
    const curve = (k, q) => this.rows.map((values, t) => [t + 1, values[k * Q + q]]);
    const shown = this.names.slice(0, MOST_LINES);
    const band = (k) => this.rows.map((values, t) => [t + 1, values[k * Q], values[k * Q + Q - 1]]);
    this.chart.draw({
      lines: shown.map((name, k) => ({ name, points: curve(k, middle) })),
      bands: Q > 1 ? shown.map((name, k) => ({ name: `${name}, band`, points: band(k) })) : [],
      xName: "step",
      cursor: step + 1,
    });
  }
}

/** The same for a model on this page. */
export class ValuesAnswer extends ValuesView {
  constructor(description, model) {
    super(description);
    this.prefixes = new Prefixes(model);
  }

  show(result, value) {
    const rows = this.per_step ? result.value : [];
    this.open(this.per_step ? rows.at(-1) : result.value, rows, value.input.length - 1);
    if (!this.per_step) this.prefixes.ask(value, (found) => this.fill(found));
  }
}

/** A forecast as a table, which can be opened. */
export class ForecastTable {
  constructor({ names, quantiles }) {
    this.table = element("tbody");
    const levels = quantiles.length > 1 ? quantiles.map((level) => ` ${short(100 * level)} %`) : [""];
    const heads = ["", ...names.flatMap((name) => levels.map((level) => name + level))];
    this.element = element(
      "details",
      { class: "answer" },
      element("summary", {}, "The forecast as a table"),
      element(
        "div",
        { class: "scrolling", tabindex: 0, role: "region", "aria-label": "The forecast as a table" },
        table(heads, this.table),
      ),
    );
  }

  /** Rows [H][C][Q] with their times. */
  draw(forecast, times) {
    const line = (row, k) => [element("th", { scope: "row" }, times[k] ?? String(k + 1)),
      ...row.flat().map((number) => element("td", {}, short(number)))];
    this.table.replaceChildren(...forecast.slice(0, MOST_ROWS).map((row, k) => element("tr", {}, line(row, k))));
  }

  setStep() {}
}

/** A forecast of a model on this page, drawn by the input after its history, and as a table. */
export class ForecastAnswer extends ForecastTable {
  constructor(description, model, input) {
    super(description);
    this.input = input;
  }

  show(result) {
    const forecast = this.input.restore(result.value);
    this.input.show(forecast);
    this.draw(forecast, this.input.window.times.slice(this.input.window.history.length));
  }
}
