// Recurrent layers, one above the other, in one or both directions, over all steps of a sequence.

import { Cell } from "./cells.js";

const MERGES = {
  sum: (a, b) => a + b,
  mean: (a, b) => (a + b) / 2,
  product: (a, b) => a * b,
};

/** The outputs of one or two directions as one vector. */
function merged(directions, merge) {
  if (directions.length === 1) return directions[0];
  const [forwards, backwards] = directions;
  if (merge === "concat") return Float32Array.from([...forwards, ...backwards]);
  return forwards.map((value, k) => MERGES[merge](value, backwards[k]));
}

/** What one layer did in one direction: for each gate and state, [T, H] as one array. */
class Recording {
  constructor(name, cell, steps) {
    this.name = name;
    this.kind = cell.kind;
    this.steps = steps;
    this.gates = new Map(cell.gateNames.map((gate) => [gate, new Float32Array(steps * cell.H)]));
    this.states = new Map([["hidden", new Float32Array(steps * cell.O)]]);
    if (cell.kind === "lstm") this.states.set("cell", new Float32Array(steps * cell.H));
  }

  write(t, { state, gates }) {
    [...this.gates.values()].forEach((values, place) => values.set(gates[place], t * gates[place].length));
    this.states.get("hidden").set(state.h, t * state.h.length);
    this.states.get("cell")?.set(state.c, t * state.c.length);
  }
}

/** The part "recurrent" of a chain. */
export class Recurrent {
  constructor(part, tensors) {
    this.part = part;
    const prefix = part.name ? `${part.name}.` : "";
    this.layers = part.cells.map((cell, number) =>
      (part.bidirectional ? ["", "_reverse"] : [""]).map((direction) => {
        const suffix = `l${number}${direction}`;
        return {
          name: prefix + suffix,
          cell: new Cell(cell, (name) => tensors.get(`${prefix}${name}_${suffix}`)),
          backwards: part.reverse || direction === "_reverse",
        };
      }),
    );
  }

  /** Whether an output depends on earlier steps alone. */
  get forwards() {
    return this.layers.flat().every(({ backwards }) => !backwards);
  }

  /** Multiplications per step. */
  get cost() {
    const weights = ({ p }) => p.weight_ih.length + p.weight_hh.length;
    return this.layers.flat().reduce((sum, { cell }) => sum + weights(cell), 0);
  }

  /** The state before the first step: one {h, c} for each layer and direction. */
  zeros() {
    return this.layers.map((directions) => directions.map(({ cell }) => cell.zeros()));
  }

  /**
   * Runs the layers over a sequence.
   *
   * @param sequence T vectors.
   * @param state As `zeros` gives it; it is not changed.
   * @returns The T outputs, the final state, the last layer's final h, and a recording of each layer and direction.
   */
  run(sequence, state = this.zeros()) {
    let x = sequence;
    const recordings = [];
    const final = this.layers.map((directions, number) => {
      const runs = directions.map((direction, k) => over(direction, x, state[number][k]));
      recordings.push(...runs.map(({ recording }) => recording));
      const below = x;
      x = x.map((_, t) => merged(runs.map(({ outputs }) => outputs[t]), this.part.merge));
      if (this.part.residual && number) x = x.map((output, t) => output.map((value, k) => value + below[t][k]));
      return runs.map((run) => run.state);
    });
    const last = merged(final.at(-1).map(({ h }) => h), this.part.merge);
    return { outputs: x, state: final, last, recordings };
  }
}

/** One layer in one direction; an output keeps the position of its input. */
function over({ name, cell, backwards }, sequence, initial) {
  const T = sequence.length;
  const outputs = new Array(T);
  const recording = new Recording(name, cell, T);
  let state = initial;
  for (let k = 0; k < T; k += 1) {
    const t = backwards ? T - 1 - k : k;
    const done = cell.step(cell.prepare(sequence[t]), state);
    state = done.state;
    outputs[t] = state.h;
    recording.write(t, done);
  }
  return { outputs, state, recording };
}
