// The history of a series, whose points can be moved, with the forecast after it.

import { Chart } from "./chart.js";
import { chooser, element, labelled, short } from "./dom.js";

/** A history and a forecast, drawn; the points of the history can be moved. */
export class SeriesChart {
  /** @param description {targets, quantiles}. */
  constructor({ targets, quantiles }) {
    Object.assign(this, { targets, quantiles, target: 0, chosen: -1, forecast: [], keep: false });
    this.chart = new Chart("The history and the forecast");
    this.chart.svg.classList.add("movable");
    for (const name of ["pointerdown", "pointermove", "pointerup"]) {
      this.chart.svg.addEventListener(name, (event) => this.point(name, event));
    }
  }

  /** The controls below the chart, with others before them, and what "Undo all" does. */
  build(others, undo) {
    const choose = () => this.choose(Number(this.pointSlider.value));
    this.pointSlider = element("input", { type: "range", min: 0, oninput: choose });
    this.number = element("input", { type: "number", step: "any", oninput: () => this.typed() });
    this.note = element("p", { class: "hint" });
    this.element = element(
      "div",
      { class: "series" },
      this.chart.element,
      element("p", { class: "hint" }, "Move a point of the history with the mouse or a finger, or type its value."),
      element(
        "div",
        { class: "controls" },
        this.targets.length > 1 ? labelled("Column", chooser(this.targets, (place) => this.column(place))) : null,
        others,
        labelled("Point", this.pointSlider),
        labelled("Its value", this.number),
        element("button", { type: "button", onclick: undo }, "Undo all"),
      ),
      this.note,
    );
  }

  /**
   * Shows another history.
   *
   * @param window {name, history, actual, times, fixed}: `history` are rows of the targets, null for a missing value;
   *     `actual` those of the rows ahead, or null; `times` of all rows; `fixed` are targets that cannot be moved.
   */
  load(window) {
    this.window = window;
    this.history = window.history.map((row) => [...row]);
    this.pointSlider.max = this.history.length - 1;
    this.choose(this.history.length - 1);
  }

  column(place) {
    this.target = place;
    this.choose(this.chosen);
  }

  choose(step, keep = false) {
    this.chosen = step;
    this.pointSlider.value = step;
    this.pointSlider.setAttribute("aria-valuetext", this.window.times[step]);
    const value = this.history[step][this.target];
    const fixed = this.window.fixed.includes(this.target) || value === null;
    this.number.value = value === null ? "" : Number(value.toPrecision(7));
    this.number.disabled = fixed;
    this.note.textContent = `${this.window.name}; chosen: ${this.window.times[step]}${
      fixed ? ". This column has gaps, which were filled from its other values; it cannot be moved." : ""
    }`;
    this.draw(keep);
  }

  typed() {
    const value = Number(this.number.value);
    if (this.number.value !== "" && Number.isFinite(value)) this.move(this.chosen, value, false);
  }

  /** A new value of one target at one step. */
  move(step, value, keep) {
    if (this.window.fixed.includes(this.target) || this.history[step][this.target] === null) return;
    if (!this.change(step, this.target, value)) return;
    this.history[step][this.target] = value;
    this.keep = keep;
    this.onchange();
  }

  point(name, event) {
    const { svg } = this.chart;
    if (name === "pointerdown") svg.setPointerCapture(event.pointerId);
    if (name === "pointerup") {
      this.keep = false;
      this.draw(false);
      return;
    }
    if (!svg.hasPointerCapture(event.pointerId)) return;
    const { x, y } = this.chart.at(event);
    const step = Math.round(x);
    if (step < 0 || step >= this.history.length) return;
    this.move(step, y, true);
    this.choose(step, true);
  }

  setStep(step) {
    this.cursor = step;
    this.draw(true);
  }

  /** Draws a forecast [H][C][Q] after the history. */
  show(forecast) {
    this.forecast = forecast;
    this.draw(this.keep);
  }

  draw(keep) {
    const { target, history, window, forecast } = this;
    const W = history.length;
    const middle = this.quantiles.indexOf(0.5);
    const value = (row, q) => forecast[row][target][q];
    const last = [W - 1, history[W - 1][target] ?? NaN];
    const rows = forecast.map((_, row) => row);
    const pairs = forecast.length ? Array.from({ length: middle }, (_, k) => [k, this.quantiles.length - 1 - k]) : [];
    const places = (table, begin) => table.map((row, t) => [begin + t, row[target] ?? NaN]);
    const name = this.quantiles.length > 1 ? "forecast (median)" : "forecast";
    const lines = [{ name: "history", kind: "history", points: places(history, 0) }];
    const ahead = rows.map((row) => [W + row, value(row, middle)]);
    if (forecast.length) lines.push({ name, kind: "forecast", points: [last, ...ahead] });
    if (window.actual) lines.push({ name: "what happened", kind: "actual", points: places(window.actual, W) });
    this.chart.draw({
      lines,
      bands: pairs.map(([low, high]) => ({
        name: `${short(100 * (this.quantiles[high] - this.quantiles[low]))} % band`,
        points: rows.map((row) => [W + row, value(row, low), value(row, high)]),
      })),
      yName: this.targets[target],
      xText: (step) => window.times[step] ?? "",
      cursor: this.cursor ?? null,
      dots: window.fixed.includes(target) ? [] : places(history, 0).filter(([, y]) => Number.isFinite(y)),
      chosen: this.chosen,
      keep,
    });
    this.chart.svg.setAttribute("aria-label", `${this.targets[target]}: ${this.said(last[1], middle)}`);
  }

  said(last, middle) {
    const { target, history, window, forecast } = this;
    const values = `${history.length} values of history, the last ${short(last)}`;
    if (!forecast.length) return `${values}.`;
    const end = short(forecast.at(-1)[target][middle]);
    const when = window.times[history.length + forecast.length - 1];
    return `${values}; ${forecast.length} values of a forecast, the last ${end} at ${when}.`;
  }
}

/** Windows of series: the rows that the model reads, as its encoder scaled them, beside the values themselves. */
export class SeriesInput extends SeriesChart {
  /**
   * @param description {targets, quantiles, log, masks, ahead, windows}. A window is {name, mean, std, inputs, future,
   *     history, actual, times, fixed}: `inputs` are the rows that the network reads, of which the first values are the
   *     targets' (level - mean) / std; the others are as for `load`.
   */
  constructor(description, onchange) {
    super(description);
    Object.assign(this, description, { onchange });
    const most = this.windows.length - 1;
    const open = () => this.open(Number(this.windowSlider.value), true);
    this.windowSlider = element("input", { type: "range", min: 0, max: most, value: most, oninput: open });
    this.build(most > 0 ? [labelled("Window", this.windowSlider)] : [], () => this.open(this.place, true));
    this.open(most);
  }

  open(place, tell = false) {
    this.place = place;
    this.inputs = this.windows[place].inputs.map((row) => Float32Array.from(row));
    this.load(this.windows[place]);
    if (tell) this.onchange();
  }

  /** Scales a new value as the network reads it; false where it cannot. */
  change(step, target, value) {
    if (this.log && value <= 0) return false; // the model reads logarithms
    const level = this.log ? Math.log(value) : value;
    this.inputs[step][target] = (level - this.window.mean[target]) / this.window.std[target];
    return true;
  }

  value() {
    const future = Array.from({ length: this.ahead }, (_, row) => this.window.future[row] ?? []);
    const labels = this.window.times.slice(0, this.history.length);
    return { input: this.inputs, future, labels };
  }

  /** The forecast in the units of the series, [H][C][Q], from what the model returned. */
  restore(rows) {
    const { mean, std } = this.window;
    const levels = this.quantiles.length;
    return rows.map((row) =>
      mean.map((centre, k) =>
        Array.from(row.slice(k * levels, (k + 1) * levels), (value) => {
          const level = value * std[k] + centre;
          return this.log ? Math.exp(level) : level;
        })));
  }
}
