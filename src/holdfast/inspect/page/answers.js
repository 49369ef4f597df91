// What a model answers: labels, tags, numbers, forecasts.

import { Chart } from "./chart.js";
import { element, percent, short, stepList } from "./dom.js";
import { sigmoid, softmax } from "./maths.js";

const MOST_BARS = 12;
const MOST_LINES = 5;
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
export class LabelsAnswer {
  /** @param description {several}: whether a sequence may have several labels. */
  constructor({ several }, model) {
    Object.assign(this, { several, names: model.labels, prefixes: new Prefixes(model) });
    this.verdict = element("p", { class: "verdict", "aria-live": "polite" });
    this.after = element("p", { class: "hint" });
    this.bars = new Bars();
    this.chart = new Chart("The probability of labels after each step");
    this.element = element("div", { class: "answer" }, this.verdict, this.bars.element, this.after, this.chart.element);
  }

  show(result, value) {
    this.value = value;
    this.final = labelShares(result.value, this.several);
    this.shares = [];
    this.prefixes.ask(value, (scores) => {
      this.shares = scores.map((each) => labelShares(each, this.several));
      this.setStep(this.step);
    });
    const best = this.final.indexOf(Math.max(...this.final));
    const likely = this.names.filter((_, k) => this.final[k] >= 0.5);
    this.verdict.textContent = this.several ? likely.join(", ") || "none of the labels" : this.names[best];
    this.setStep(value.input.length - 1);
  }

  setStep(step) {
    this.step = step;
    const shares = this.shares[step] ?? this.final;
    this.bars.draw(this.names, shares);
    const whole = step + 1 >= this.value.input.length || !this.shares.length;
    this.after.textContent = whole ? "After all steps." : `After ${step + 1} of ${this.value.input.length} steps.`;
    this.chart.element.hidden = this.shares.length < 2;
    if (this.chart.element.hidden) return;
    const most = this.names.map((_, k) => Math.max(...this.shares.map((row) => row[k])));
    const order = this.names.map((_, k) => k).sort((a, b) => this.final[b] - this.final[a] || most[b] - most[a]);
    const lines = order.slice(0, MOST_LINES).map((k) => ({
      name: this.names[k],
      points: this.shares.map((row, t) => [t + 1, row[k]]),
    }));
    const { labels } = this.value;
    this.chart.draw({ lines, xText: (x) => labels[x - 1] ?? "", cursor: step + 1, yName: "probability" });
  }
}

/** A tag for each step; for sums, also the number that the bits make. */
export class TagsAnswer {
  /** @param description {names, sum}. With two names, the only score is the second one's before a sigmoid. */
  constructor({ names, sum }) {
    Object.assign(this, { names, sum });
    this.verdict = element("p", { class: "verdict", "aria-live": "polite" });
    this.steps = stepList("tagged");
    this.bars = new Bars();
    this.element = element("div", { class: "answer" }, this.verdict, this.steps, this.bars.element);
  }

  show(result, value) {
    this.value = value;
    this.shares = result.value.map((scores) => tagShares(scores));
    this.tags = this.shares.map((shares) => shares.indexOf(Math.max(...shares)));
    this.verdict.hidden = !this.sum;
    if (this.sum) {
      const total = this.tags.reduce((sum, bit, place) => sum + bit * 2 ** place, 0);
      const right = value.numbers[0] + value.numbers[1];
      const judged = total === right ? "right" : `wrong: it is ${right}`;
      this.verdict.textContent = `${value.numbers[0]} + ${value.numbers[1]} = ${total} (${judged})`;
    }
    this.setStep(value.input.length - 1);
  }

  setStep(step) {
    const chips = this.tags.map((tag, t) =>
      element(
        "li",
        { class: `chip tag-${tag % 8}${t === step ? " chosen" : ""}`, "aria-current": t === step ? "step" : null },
        element("span", { class: "word" }, this.value.labels[t]),
        element("span", { class: "tag" }, this.names[tag]),
      ));
    this.steps.replaceChildren(...chips);
    this.bars.draw(this.names, this.shares[step]);
  }
}

export function tagShares(scores) {
  if (scores.length > 1) return softmax(scores);
  const share = sigmoid(scores[0]);
  return Float64Array.of(1 - share, share);
}

/** Numbers of a sequence, or of each of its steps; with quantiles, a band. */
export class ValuesAnswer {
  /** @param description {names, quantiles, per_step}. */
  constructor({ names, quantiles, per_step }, model) {
    Object.assign(this, { names, quantiles, per_step, prefixes: new Prefixes(model) });
    this.table = element("tbody");
    const heads = quantiles.length > 1 ? quantiles.map((level) => `${short(100 * level)} %`) : ["value"];
    this.chart = new Chart(per_step ? "The values at each step" : "The values after each step");
    this.element = element("div", { class: "answer" }, table(["", ...heads], this.table), this.chart.element);
  }

  show(result, value) {
    this.value = value;
    this.rows = this.per_step ? result.value : [];
    this.final = this.per_step ? result.value.at(-1) : result.value;
    if (!this.per_step) {
      this.prefixes.ask(value, (rows) => {
        this.rows = rows;
        this.setStep(this.step);
      });
    }
    this.setStep(value.input.length - 1);
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

/** A forecast, drawn by the input after its history, and as a table. */
export class ForecastAnswer {
  constructor({ names, quantiles }, model, input) {
    Object.assign(this, { names, quantiles, input });
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

  show(result) {
    const forecast = this.input.restore(result.value);
    this.input.show(forecast);
    const { times, history } = this.input.window;
    const line = (row, k) => [element("th", { scope: "row" }, times[history.length + k] ?? String(k + 1)),
      ...row.flat().map((number) => element("td", {}, short(number)))];
    this.table.replaceChildren(...forecast.slice(0, 200).map((row, k) => element("tr", {}, line(row, k))));
  }

  setStep() {}
}
