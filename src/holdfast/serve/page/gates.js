// The gates and states of a stream as they come, in the form in which the panel draws them.

/** Recordings of the last steps of a stream: `show` and `draw` of the panel read these arrays while they fill. */
export class LiveRecordings {
  /** @param steps The number of steps that are kept. */
  constructor(steps) {
    Object.assign(this, { steps, count: 0, layers: [] });
  }

  /** Adds the steps in `inside` of an answer. */
  add(inside) {
    if (!this.layers.length) this.layers = inside.map((layer) => this.empty(layer));
    const added = Object.values(inside[0].states)[0].length;
    for (let t = 0; t < added; t += 1) {
      const full = this.count >= this.steps;
      const place = full ? this.steps - 1 : this.count;
      inside.forEach((layer, k) => {
        for (const kind of ["gates", "states"]) {
          for (const [name, rows] of Object.entries(layer[kind])) {
            const values = this.layers[k][kind].get(name);
            if (full) values.copyWithin(0, rows[t].length);
            values.set(rows[t].map((value) => value ?? NaN), place * rows[t].length);
          }
        }
      });
      this.count += 1;
    }
  }

  /** The place of the last step. */
  get last() {
    return Math.min(this.count, this.steps) - 1;
  }

  empty({ name, gates, states }) {
    const zeros = (parts) =>
      new Map(Object.entries(parts).map(([part, [row]]) => [part, new Float32Array(this.steps * row.length)]));
    return { name, steps: this.steps, gates: zeros(gates), states: zeros(states) };
  }
}

/** How long the answers of a stream took. */
export class Latency {
  constructor() {
    this.times = [];
  }

  add(milliseconds) {
    this.times.push(milliseconds);
  }

  get text() {
    const { times } = this;
    const show = (value) => `${value.toFixed(1)} ms`;
    const mean = times.reduce((sum, value) => sum + value, 0) / times.length;
    return `last ${show(times.at(-1))}, mean ${show(mean)}, slowest ${show(Math.max(...times))}`;
  }
}

/** The path of a stream that shows its gates. */
export const streamPath = ({ name, version }) =>
  `stream/${encodeURIComponent(name)}/versions/${encodeURIComponent(version)}?inside=true`;
