// The settings with which a text is drawn.

import { element, labelled } from "./dom.js";

/** Temperature, length, seed, top k and top p. */
export class SamplingControls {
  /** @param description {length, temperature, top_k, top_p, seed}: the settings to start with. */
  constructor(description) {
    const number = (name, more) =>
      element("input", { type: "number", name, value: description[name], min: 0, ...more });
    this.controls = {
      temperature: number("temperature", { step: 0.1 }),
      length: number("length", { step: 1 }),
      seed: number("seed", { step: 1 }),
      top_k: number("top_k", { step: 1 }),
      top_p: number("top_p", { step: 0.05, max: 1 }),
    };
    const { controls } = this;
    this.fields = [
      labelled("Temperature", controls.temperature),
      labelled("Tokens", controls.length),
      labelled("Seed", controls.seed),
      labelled("Top k, 0 for all", controls.top_k),
      labelled("Top p", controls.top_p),
    ];
  }

  /** The settings within their bounds. */
  values() {
    const value = (name) => Number(this.controls[name].value);
    const whole = (name) => Math.max(0, Math.round(value(name)));
    return {
      temperature: Math.max(0, value("temperature")),
      length: whole("length"),
      seed: whole("seed"),
      top_k: whole("top_k"),
      top_p: Math.min(1, Math.max(1e-6, value("top_p") || 1)),
    };
  }
}
