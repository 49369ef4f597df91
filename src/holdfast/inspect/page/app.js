// Puts the page together: an input, the model, an answer, and what is inside.

import { ForecastAnswer, LabelsAnswer, TagsAnswer, ValuesAnswer } from "./answers.js";
import { Model, readTensors } from "./chain.js";
import { element, short } from "./dom.js";
import { DrawInput } from "./draw.js";
import { Inside } from "./inside.js";
import { NextAnswer } from "./next.js";
import { NumbersInput } from "./numbers.js";
import { SeriesInput } from "./series.js";
import { PairsInput, TextInput, WordsInput } from "./text.js";

const INPUTS = {
  image: DrawInput,
  numbers: NumbersInput,
  pairs: PairsInput,
  series: SeriesInput,
  text: TextInput,
  words: WordsInput,
};

const ANSWERS = {
  forecast: ForecastAnswer,
  labels: LabelsAnswer,
  next: NextAnswer,
  tags: TagsAnswer,
  values: ValuesAnswer,
};

const byId = (id) => document.getElementById(id);

/** The page in the document: reads the model in it, and fills the sections "input", "answer" and "inside". */
export function start() {
  const page = JSON.parse(byId("model").textContent);
  const model = new Model(page.chain, readTensors(byId("weights").textContent, page.tensors));
  const status = element("p", { class: "hint", role: "status" });
  let waiting = false;
  const soon = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      run();
    });
  };
  const input = new INPUTS[page.input.kind](page.input, soon);
  const setStep = (step) => {
    input.setStep(step);
    answer.setStep(step);
  };
  const inside = new Inside(setStep);
  const answer = new ANSWERS[page.answer.kind](page.answer, model, input, inside);

  function run() {
    if (page.answer.kind === "next") return;
    const value = input.value();
    status.classList.toggle("wrong", Boolean(value.error));
    if (value.error) {
      status.textContent = value.error;
      return;
    }
    const begin = performance.now();
    const result = model.run(value.input, value);
    const milliseconds = performance.now() - begin;
    const steps = value.input.length;
    const unknown = (value.unknown ?? []).filter(Boolean).length;
    status.textContent = `${steps} ${steps === 1 ? "step" : "steps"}, ${short(milliseconds / steps)} ms per step` +
      `${unknown ? `; ${unknown} that training did not see` : ""}.`;
    answer.show(result, value);
    inside.stop();
    inside.show(result.recordings, value.labels);
    input.setStep(inside.step);
  }

  byId("input").append(input.element, status);
  byId("answer").append(answer.element);
  byId("inside").append(inside.element);
  document.addEventListener("pick", ({ detail }) => {
    inside.stop();
    inside.go(detail);
  });
  if (page.answer.kind === "next") answer.start();
  else run();
  Object.assign(window, { holdfast: { page, model, input, answer, inside } }); // for a look from the console
}
