// The answers of the server, as `holdfast predict` writes them, shown.

import { ForecastTable, LabelsView, TagsView, ValuesView, labelShares, sumText, tagShares } from "./answers.js";
import { element, short } from "./dom.js";

const named = (about) => about.stream?.labels ?? [];

/** The values of a name: one for each quantile, the lowest first; or one alone. */
function byLevel(name, values, quantiles) {
  if (!quantiles) return [values[name]];
  return Object.entries(quantiles[name]).sort(([a], [b]) => a - b).map(([, each]) => each);
}

/** Labels with their probabilities. */
class Labels {
  constructor(about) {
    this.order = named(about);
    this.view = new LabelsView(about.answer.several);
    this.element = this.view.element;
  }

  show({ probabilities }, { labels = ["the end"] }) {
    const names = this.order.length ? this.order : Object.keys(probabilities);
    this.view.open(names, names.map((name) => probabilities[name]), labels);
  }

  /** The outputs of a stream after each step: scores. */
  fill(outputs) {
    if (this.view.names) this.view.fill(outputs.map((scores) => labelShares(scores, this.view.several)));
  }

  setStep(step) {
    if (this.view.labels) this.view.setStep(Math.min(step, this.view.labels.length - 1));
  }
}

/** Numbers of a sequence or of each step. */
class Values {
  constructor({ answer }) {
    this.answer = answer;
    this.view = new ValuesView(answer);
    this.element = this.view.element;
  }

  /** @param answer {values, quantiles}, or of an exported stream {rows}. */
  show({ values, quantiles, rows }, { labels = [] }) {
    const found = rows ?? this.rows(values, quantiles);
    const steps = this.answer.per_step ? found : [];
    this.view.open(found.at(-1), steps, Math.max(labels.length, steps.length) - 1);
  }

  /** The numbers of each step in the order of `ValuesView`: for each name, its quantiles. */
  rows(values, quantiles) {
    const columns = this.answer.names.flatMap((name) => byLevel(name, values, quantiles)).map((each) => [each].flat());
    return columns[0].map((_, t) => columns.map((each) => each[t] ?? NaN));
  }

  fill(outputs) {
    if (this.view.final) this.view.fill(outputs);
  }

  setStep(step) {
    if (this.view.final) this.view.setStep(step);
  }
}

/** A tag for each step; for sums, the number that the bits make. */
class Tags {
  constructor({ answer }) {
    this.answer = answer;
    this.view = new TagsView();
    this.element = this.view.element;
  }

  show(answer, { labels = null }) {
    const { names } = this.answer;
    const tags = this.answer.sum ? bits(answer.sum, labels?.length ?? 0) : answer.tags.map((tag) => names.indexOf(tag));
    this.words = answer.words ?? labels ?? tags.map((_, t) => `step ${t + 1}`);
    const spans = (answer.spans ?? []).map(({ label, text }) => `${label}: ${text}`).join("; ");
    this.view.open(this.words, tags, names, null, this.answer.sum ? sumText(...answer.numbers, answer.sum) : spans);
  }

  /** The outputs of a stream after each step: scores of tags. */
  fill(outputs) {
    if (!this.words) return;
    const shares = outputs.map((scores) => tagShares(Float64Array.from(scores)));
    const tags = shares.map((row) => row.indexOf(Math.max(...row)));
    this.view.open(this.words.slice(0, tags.length), tags, this.answer.names, shares, this.view.verdict.textContent);
  }

  setStep(step) {
    if (this.view.tags) this.view.setStep(Math.min(step, this.view.tags.length - 1));
  }
}

const bits = (sum, count) => Array.from({ length: count }, (_, place) => Math.floor(sum / 2 ** place) % 2);

/** A forecast, drawn by the input after its history, and as a table. */
class Forecast {
  constructor({ answer }) {
    this.answer = answer;
    this.view = new ForecastTable(answer);
    this.element = this.view.element;
  }

  show(first, given, answers) {
    const { widget } = this.inputs.widget;
    const { times, values, quantiles } = answers.find(({ id = "" }) => id === String(widget.id)) ?? first;
    const columns = this.answer.names.map((name) => byLevel(name, values, quantiles));
    const forecast = times.map((_, row) => columns.map((levels) => levels.map((level) => level[row] ?? NaN)));
    this.view.draw(forecast, times.map(String));
    widget.showForecast(forecast, times);
  }

  setStep() {}
}

/** A translation with the next best ones, or a transcript. */
class Written {
  constructor() {
    this.text = element("p", { class: "verdict", "aria-live": "polite" });
    this.more = element("div");
    this.element = element("div", { class: "answer" }, this.text, this.more);
  }

  show({ translation, text, score, log_probability: probability, alternatives = [] }) {
    this.text.textContent = (translation ?? text) || "(an empty text)";
    const items = alternatives.map((each) => element("li", {}, each));
    const said = score === undefined ? `Log probability: ${short(probability)}.` : `Score: ${short(score)}.`;
    this.more.replaceChildren(
      ...(items.length ? [element("p", { class: "hint" }, "Next best:"), element("ul", {}, items)] : []),
      element("p", { class: "hint" }, said),
    );
  }

  /** The text of a stream so far. */
  write(text) {
    this.text.textContent = text || "…";
    this.more.replaceChildren();
  }

  setStep() {}
}

const VIEWS = { forecast: Forecast, labels: Labels, tags: Tags, values: Values, written: Written };

/** What shows the answers of a model. */
export const viewOf = (about) => new VIEWS[about.answer.kind](about);
