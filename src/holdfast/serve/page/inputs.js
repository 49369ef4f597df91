// What a person gives: a drawing, numbers, a text, a table, a recording, or files of these.

import { element } from "./dom.js";
import { DrawInput } from "./draw.js";
import { FileDrop } from "./files.js";
import { Microphone } from "./microphone.js";
import { NumbersInput } from "./numbers.js";
import { TableInput } from "./table.js";
import { PairsInput, TypedText } from "./text.js";

/** A control for one sequence of numbers; `value` gives its rows and a name for each step. */
class Sequence {
  constructor(widget, examples) {
    Object.assign(this, { widget, examples, element: widget.element });
  }

  given() {
    const value = this.widget.value();
    if (value.error) return value;
    const rows = value.input.map((row) => Array.from(row));
    return { rows, labels: value.labels, body: { examples: [this.examples?.(value) ?? rows] } };
  }

  setStep(step) {
    this.widget.setStep(step);
  }
}

/** A text, sent as a line of `holdfast predict`. */
class Text {
  constructor({ samples }, label, onchange) {
    this.widget = new TypedText(label, samples, onchange, false);
    this.element = this.widget.element;
  }

  given() {
    return { body: { texts: [this.widget.control.value] } };
  }

  setStep() {}
}

/** A table of series. */
class Table {
  constructor(input, onchange) {
    this.widget = new TableInput(input, onchange);
    this.element = this.widget.element;
  }

  given() {
    return { body: { examples: this.widget.columns } };
  }

  setStep() {}
}

const WIDGETS = {
  image: (input, onchange) => new Sequence(new DrawInput(input, onchange)),
  numbers: (input, onchange) => new Sequence(new NumbersInput(input, onchange)),
  pairs: (input, onchange) => new Sequence(new PairsInput(input, onchange), ({ numbers }) => numbers),
  table: (input, onchange) => new Table(input, onchange),
  text: (input, onchange) => new Text(input, "Text", onchange),
  words: (input, onchange) => new Text(input, "Sentence, with spaces between its words", onchange),
};

/** Numbers in place of a recording, folded away. */
function foldedNumbers({ channels }, onchange) {
  const numbers = new Sequence(new NumbersInput({ channels, masks: 0, names: [], samples: [] }, onchange));
  const summary = element("summary", {}, "Or type the numbers of the steps");
  return Object.assign(numbers, { element: element("details", {}, summary, numbers.element) });
}

/** All ways to give an example to one model; what was changed last is what is asked. */
export class Inputs {
  /**
   * @param about What the server says of the model.
   * @param onchange Called after each change.
   * @param live Takes the sound while it is recorded; null where nothing does.
   */
  constructor(about, onchange, live) {
    const { input, files } = about;
    const choose = (source) => () => {
      this.source = source();
      if (this.source !== this.drop) this.drop?.clear();
      onchange();
    };
    const parts = [];
    if (Object.hasOwn(WIDGETS, input.kind)) {
      this.widget = WIDGETS[input.kind](input, choose(() => this.widget));
      parts.push(this.widget.element);
    }
    if (input.kind === "sound") {
      this.microphone = new Microphone(input.rate, choose(() => this.microphone), live);
      parts.push(this.microphone.element);
    }
    if (files.length) {
      this.drop = new FileDrop(files, choose(() => this.drop), this.widget?.widget);
      parts.push(this.drop.element);
    }
    if (input.channels && input.kind === "sound") {
      this.numbers = foldedNumbers(input, choose(() => this.numbers));
      parts.push(this.numbers.element);
    }
    this.source = this.widget ?? null;
    this.element = element("div", { class: "inputs" }, parts);
  }

  /** What to ask: {body}, perhaps with the rows of a sequence and their labels; {files}; {error}; null without any. */
  given() {
    return this.source?.given() ?? null;
  }

  /** The rows of the sequence and a name for each step; {error}; null where the source has no sequence. */
  sequence() {
    const found = this.source?.given();
    return found?.rows || found?.error ? found : null;
  }

  setStep(step) {
    if (this.source === this.widget) this.widget?.setStep(step);
  }

  close() {
    this.microphone?.close();
    this.drop?.clear();
  }
}
