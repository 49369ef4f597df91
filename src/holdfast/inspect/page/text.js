// A text to type: characters, words or pieces of it are the steps. Also sentences whose words are read with their
// letters, and sums as pairs of bits.

import { chooser, element, labelled, stepList, visible } from "./dom.js";
import { BEGIN, UNKNOWN, Vocabulary } from "./vocabulary.js";

const MOST_SHOWN = 400;

/** A control for one text, with examples. */
export class TypedText {
  /**
   * @param label Above the control.
   * @param samples {name, text} each; the first one is shown.
   * @param onchange Called after each change.
   * @param multiline Whether the text may have several lines.
   */
  constructor(label, samples, onchange, multiline) {
    this.control = multiline
      ? element("textarea", { rows: 3, spellcheck: "false", autocapitalize: "off", autocomplete: "off" })
      : element("input", { type: "text", spellcheck: "false", autocapitalize: "off", autocomplete: "off" });
    this.control.value = samples[0]?.text ?? "";
    this.control.addEventListener("input", onchange);
    const choose = (place) => {
      this.control.value = samples[place].text;
      onchange();
    };
    this.element = element(
      "div",
      { class: "typed" },
      labelled(label, this.control),
      samples.length > 1 ? labelled("Example", chooser(samples.map(({ name }) => name), choose)) : null,
    );
  }

  setStep() {}
}

/** Texts: each token is a step. */
export class TextInput extends TypedText {
  /** @param description {vocabulary, samples, begin, multiline}; with `begin`, BEGIN is the first step. */
  constructor({ vocabulary, samples, begin, multiline }, onchange) {
    super(multiline ? "The text begins with" : "Text", samples, onchange, multiline);
    this.vocabulary = new Vocabulary(vocabulary);
    this.begin = begin;
    this.multiline = multiline;
    this.steps = stepList("letters");
    this.element.append(this.steps);
  }

  value() {
    return this.tokens(this.control.value);
  }

  /** The tokens, of which one is looked at. */
  setStep(step) {
    if (this.multiline) return; // the answer has the tokens of a text that goes on
    const { labels, unknown } = this.value();
    const kind = (t) => `${t === step ? "chosen " : ""}${t > step ? "later " : ""}${unknown[t] ? "unknown" : ""}`;
    const entries = labels.slice(0, MOST_SHOWN).map((label, t) => element("li", { class: kind(t) }, label));
    this.steps.replaceChildren(...entries);
  }

  /** The ids and texts of a text's tokens; a text without tokens is one unknown token, or for a beginning BEGIN. */
  tokens(text) {
    const tokens = this.vocabulary.encode(text);
    if (this.begin || (this.multiline && !tokens.length)) tokens.unshift({ id: BEGIN, text: "" });
    if (!tokens.length) tokens.push({ id: UNKNOWN, text: "" });
    const labels = tokens.map(({ id, text: token }) => (token ? visible(token) : this.vocabulary.tokens[id]));
    const unknown = tokens.map(({ id }) => id === UNKNOWN);
    return { input: tokens.map(({ id }) => id), labels, unknown, texts: tokens.map(({ text: token }) => token) };
  }
}

/** Sentences: each word is a step, with its id and the ids of its letters. */
export class WordsInput extends TypedText {
  /** @param description {words, characters, samples}: two vocabularies. */
  constructor({ words, characters, samples }, onchange) {
    super("Sentence, with spaces between its words", samples, onchange, false);
    this.words = new Vocabulary(words);
    this.characters = new Vocabulary(characters);
  }

  value() {
    const words = this.control.value.split(/[\p{White_Space}\u001c-\u001f]+/u).filter(Boolean);
    if (!words.length) return { error: "Type a word or more." };
    const input = words.map((word) => {
      const ids = this.words.encode(word).map(({ id }) => id);
      return {
        word: ids.length === 1 ? ids[0] : UNKNOWN,
        letters: this.characters.encode(word).map(({ id }) => id),
      };
    });
    return { input, labels: words.map(visible), unknown: input.map(({ word }) => word === UNKNOWN) };
  }
}

/** Two numbers to add: each step has one bit of both, the least significant first. */
export class PairsInput {
  /** @param description {bits}: of a sum; each number has one bit less. */
  constructor({ bits }, onchange) {
    this.bits = bits;
    this.top = 2 ** (bits - 1) - 1;
    const limits = { type: "number", min: 0, max: this.top, step: 1, inputmode: "numeric" };
    const number = (value) => element("input", { ...limits, value, oninput: onchange });
    this.controls = [number(Math.min(13, this.top)), number(Math.min(29, this.top))];
    this.element = element(
      "div",
      { class: "pair" },
      labelled(`First number, 0 to ${this.top}`, this.controls[0]),
      labelled(`Second number, 0 to ${this.top}`, this.controls[1]),
    );
  }

  value() {
    const numbers = this.controls.map((control) => Number(control.value));
    const whole = (number, k) => this.controls[k].value !== "" && Number.isInteger(number);
    const fits = (number, k) => whole(number, k) && number >= 0 && number <= this.top;
    if (!numbers.every(fits)) return { error: `Type two whole numbers from 0 to ${this.top}.` };
    const bit = (number, place) => Math.floor(number / 2 ** place) % 2;
    const places = Array.from({ length: this.bits }, (_, place) => place);
    const input = places.map((place) => Float32Array.from(numbers, (number) => bit(number, place)));
    return { input, labels: input.map((pair) => Array.from(pair).join(" + ")), numbers };
  }

  setStep() {}
}
