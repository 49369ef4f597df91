// A table of one series or several: its history drawn, its points to move, and tables from files.

import { chooser, element, labelled } from "./dom.js";
import { SeriesChart } from "./series.js";

const MISSING = new Set(["", "NA", "N/A", "NaN", "null", "None", "-", "?"]);
const SEPARATORS = [",", ";", "\t"];

/** The cells of each line of a text; a cell in quotes may hold separators and line breaks. */
function cells(text, separator) {
  const rows = [[]];
  let [cell, quoted] = ["", false];
  const end = () => {
    rows.at(-1).push(cell.trim());
    cell = "";
  };
  for (let place = 0; place < text.length; place += 1) {
    const letter = text[place];
    if (letter === '"') {
      if (quoted && text[place + 1] === '"') {
        cell += letter;
        place += 1;
      } else quoted = !quoted;
    } else if (!quoted && letter === separator) end();
    else if (!quoted && letter === "\n") {
      end();
      rows.push([]);
    } else cell += letter;
  }
  end();
  return rows.filter((row) => row.length > 1 || row[0]);
}

/** A column as numbers, where each of its cells is one or missing; else as texts. */
function column(values, decimal) {
  const plain = (value) => (decimal === "," ? value.replace(",", ".") : value);
  const number = (value) => value !== "" && Number.isFinite(Number(plain(value)));
  const known = values.filter((value) => !MISSING.has(value));
  const convert = known.every(number) ? (value) => Number(plain(value)) : (value) => value;
  return values.map((value) => (MISSING.has(value) ? null : convert(value)));
}

/** The columns of a table as text, by their names in its first line. */
export function parseTable(text) {
  const plain = text.replace(/^\uFEFF/u, "").replaceAll("\r\n", "\n").replace(/^#.*\n/gmu, "");
  const [first] = plain.split("\n", 1);
  const count = (separator) => first.split(separator).length;
  const separator = SEPARATORS.reduce((best, each) => (count(each) > count(best) ? each : best));
  const [names = [], ...rows] = cells(plain, separator);
  const decimal = separator === "," ? "." : rows.flat().some((cell) => /^[-+]?\d+,\d+$/u.test(cell)) ? "," : ".";
  return Object.fromEntries(names.map((name, k) => [name, column(rows.map((row) => row[k] ?? ""), decimal)]));
}

/** Columns by name, as the server takes a series. */
export class TableInput extends SeriesChart {
  /** @param description {targets, quantiles, window, ahead, time_column, id_column, tables}. */
  constructor(description, onchange) {
    super(description);
    Object.assign(this, { description, onchange });
    const { tables } = description;
    const names = tables.map(({ name }) => name);
    this.place = element("div", { class: "place" });
    const examples = chooser(names, (k) => this.openTable(tables[k], true));
    const others = [tables.length > 1 ? labelled("Example", examples) : null, this.place];
    this.build(others, () => this.openTable(this.table, true));
    this.openTable(tables[0]);
  }

  /** Shows a table {name, columns, actual}. */
  openTable(table, tell = false) {
    this.table = table;
    this.columns = structuredClone(table.columns);
    const ids = this.columns[this.description.id_column];
    this.ids = ids ? [...new Set(ids)] : [""];
    const choose = (k) => this.openSeries(k, true);
    this.place.replaceChildren(
      ...(this.ids.length > 1 ? [labelled("Series", chooser(this.ids.map(String), choose))] : []));
    this.openSeries(0);
    if (tell) this.onchange();
  }

  /** Shows a file; where it lacks the columns of the model, the history stays, and the server says what is wrong. */
  async openFile(file) {
    const columns = parseTable(await file.text());
    const { targets } = this.description;
    if (targets.every((name) => columns[name]?.some((value) => typeof value === "number"))) {
      this.openTable({ name: file.name, columns, actual: null });
    }
  }

  openSeries(place, tell = false) {
    const { columns, description } = this;
    this.id = this.ids[place];
    const ids = columns[description.id_column];
    const all = columns[this.targets[0]].map((_, row) => row).filter((row) => !ids || ids[row] === this.id);
    const known = (row) => this.targets.some((name) => typeof columns[name][row] === "number");
    const end = all.findLastIndex(known) + 1 || all.length; // a series without values is shown as its gaps
    this.rows = all.slice(Math.max(0, end - description.window), end);
    const times = columns[description.time_column];
    const time = (row) => String(times ? times[row] : row);
    const number = (value) => (typeof value === "number" ? value : null);
    this.forecast = [];
    this.load({
      name: [this.table.name, this.id].filter(Boolean).join(", "),
      history: this.rows.map((row) => this.targets.map((name) => number(columns[name][row]))),
      actual: this.table.actual,
      times: this.rows.map(time),
      fixed: [],
    });
    if (tell) this.onchange();
  }

  /** A new value in the table. */
  change(step, target, value) {
    this.columns[this.targets[target]][this.rows[step]] = value;
    return true;
  }

  /** Draws the forecast [H][C][Q] with the times of its rows. */
  showForecast(forecast, times) {
    this.window.times = [...this.window.times.slice(0, this.history.length), ...times.map(String)];
    this.show(forecast);
  }
}
