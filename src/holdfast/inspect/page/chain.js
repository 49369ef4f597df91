// A model from its chain: the list of parts in every model file, each the input of the next one.
//
// A value between two parts is a sequence (an array of vectors) or, after a head, one vector.

import { linear, softmax } from "./maths.js";
import { Recurrent } from "./recurrent.js";

/** f of a vector, or of each vector of a sequence. */
const each = (value, f) => (Array.isArray(value) ? value.map(f) : f(value));
const ascending = (values) => Float64Array.from(values).sort();
const relu = (vector) => vector.map((value) => Math.max(value, 0));

function scaled({ scaling: { kind, mean, std } }) {
  const functions = {
    none: (value) => value,
    unit: (value) => value / 255,
    standard: (value, k) => (value - mean[k]) / std[k],
  };
  return (sequence) => sequence.map((values) => Float32Array.from(values, functions[kind]));
}

function lookUp({ name, size }, tensors) {
  const table = tensors.get(`${name}.weight`);
  return (id) => table.subarray(id * size, (id + 1) * size);
}

/** Vectors of words {word: id, letters: ids}: one from a table, and the last states of layers over the letters. */
function wordVectors({ words, characters, spelling }, tensors) {
  const wordVector = lookUp(words, tensors);
  if (!spelling) return (sentence) => sentence.map(({ word }) => wordVector(word));
  const letterVector = lookUp(characters, tensors);
  const layers = new Recurrent(spelling, tensors);
  return (sentence) =>
    sentence.map(({ word, letters }) =>
      Float32Array.from([...wordVector(word), ...layers.run(letters.map(letterVector)).last]));
}

function linearPart({ name, outputs, bias }, tensors) {
  const [W, b] = [tensors.get(`${name}.weight`), bias ? tensors.get(`${name}.bias`) : null];
  return (value) => each(value, (vector) => linear(W, b, vector, outputs));
}

function recurrent(part, tensors) {
  const layers = new Recurrent(part, tensors);
  const compute = (sequence, context) => {
    const run = layers.run(sequence, context.state ?? layers.zeros());
    context.state = run.state;
    context.last = run.last;
    context.recordings.push(...run.recordings);
    return run.outputs;
  };
  return Object.assign(compute, { layers });
}

const POOLS = {
  last_output: (outputs) => outputs.at(-1),
  mean: (outputs) => outputs[0].map((_, k) => outputs.reduce((sum, output) => sum + output[k], 0) / outputs.length),
  max: (outputs) => outputs[0].map((_, k) => outputs.reduce((most, output) => Math.max(most, output[k]), -Infinity)),
};

function head({ kind }) {
  return kind === "last_state" ? (_, context) => context.last : (outputs) => POOLS[kind](outputs);
}

function logSoftmax() {
  return (value) => each(value, (scores) => softmax(scores).map(Math.log));
}

function restored({ scaling: { mean, std }, quantiles }) {
  return (value) =>
    each(value, (vector) => {
      const targets = mean.map((_, k) => ascending(vector.subarray(k * quantiles, (k + 1) * quantiles)));
      return Float64Array.from(targets.flatMap((row, k) => Array.from(row, (number) => number * std[k] + mean[k])));
    });
}

const LEAST_DEVIATION = 1e-5;

/** Shifts and divides the first values of each row of a window; `horizon` does the inverse. */
function windowScaling({ kind, values }) {
  return (rows, context) => {
    const columns = Array.from({ length: values }, (_, k) => rows.map((row) => row[k]));
    const means = columns.map((column) => column.reduce((sum, value) => sum + value, 0) / column.length);
    const spread = (column, mean) =>
      Math.sqrt(column.reduce((sum, value) => sum + (value - mean) ** 2, 0) / column.length) + LEAST_DEVIATION;
    context.centre = kind === "standard" ? means : columns.map((column) => column.at(-1));
    context.spread = columns.map((column, k) => (kind === "standard" ? spread(column, means[k]) : 1));
    const change = (value, k) => (k < values ? (value - context.centre[k]) / context.spread[k] : value);
    return rows.map((row) => Float32Array.from(row, change));
  };
}

/** Each row of the horizon from a few values of the state and what is known of that row. */
function knownAhead({ context: inner, hidden, output, known }, tensors) {
  const [toRows, toHidden, toOutput] = [inner, hidden, output].map((part) => linearPart(part, tensors));
  const size = hidden.inputs - known;
  return (state, { future }) => {
    const values = relu(toRows(state));
    const rows = future.map((row, k) => {
      const joined = Float32Array.from([...values.subarray(k * size, (k + 1) * size), ...row]);
      return [...toOutput(relu(toHidden(joined)))];
    });
    return Float32Array.from(rows.flat());
  };
}

/** Rows of a forecast, each with `values` times `quantiles` numbers, the quantiles ascending. */
function horizon({ rows, values, quantiles, recursive }) {
  return (value, context) => {
    const flat = recursive ? closedLoop(value.at(-1), context) : value;
    const count = recursive ? context.future.length : rows;
    const { centre = new Array(values).fill(0), spread = new Array(values).fill(1) } = context;
    return Array.from({ length: count }, (_, row) =>
      Float64Array.from(
        Array.from({ length: values }, (_, k) => {
          const begin = (row * values + k) * quantiles;
          return Array.from(ascending(flat.slice(begin, begin + quantiles)), (x) => x * spread[k] + centre[k]);
        }).flat(),
      ));
  };
}

/** The recursive method: each row that is forecast is also the next row of the input. */
function closedLoop(first, context) {
  const forecast = [first];
  for (const known of context.future.slice(1)) {
    const next = context.again([Float32Array.from([...forecast.at(-1), ...known])]);
    forecast.push(next.at(-1));
  }
  return forecast.flatMap((row) => [...row]);
}

const PARTS = {
  scaled,
  embedding: (part, tensors) => {
    const vector = lookUp(part, tensors);
    return (ids) => ids.map(vector);
  },
  linear: linearPart,
  recurrent,
  head,
  log_softmax: logSoftmax,
  restored,
  word_vectors: wordVectors,
  window_scaling: windowScaling,
  known_ahead: knownAhead,
  horizon,
};

/** A model that runs one sequence at a time. */
export class Model {
  /**
   * @param chain As a model file holds it: {parts, labels}.
   * @param tensors A Map from names to Float32Arrays.
   */
  constructor(chain, tensors) {
    this.labels = chain.labels;
    this.parts = chain.parts.map((part) => {
      if (!Object.hasOwn(PARTS, part.part)) throw new Error(`This page lacks the part ${part.part}.`);
      return PARTS[part.part](part, tensors);
    });
    this.first = chain.parts.findIndex(({ part }) => part === "recurrent");
    const { layers } = this.parts[this.first];
    const heads = chain.parts.filter(({ part }) => part === "head");
    this.cost = layers.cost;
    this.streams = layers.forwards && heads.every(({ kind }) => kind.startsWith("last_"));
  }

  /**
   * @param input Rows of numbers, ids, or words {word, letters}: what the first part reads.
   * @param state The state before the first step, from an earlier result; none for zeros.
   * @param future For a forecast: what is known of each row ahead, one array per row, which may be empty.
   * @returns {value, state, recordings}: the output of the last part, the state after the last step, and the gates and
   *     states of every layer and direction.
   */
  run(input, { state = null, future = [] } = {}) {
    const context = { state, future, recordings: [] };
    context.again = (rows) => {
      const inner = { state: context.state, recordings: [] };
      const outputs = this.parts.slice(this.first, -1).reduce((value, part) => part(value, inner), rows);
      context.state = inner.state;
      return outputs;
    };
    const value = this.parts.reduce((before, part) => part(before, context), input);
    return { value, state: context.state, recordings: context.recordings };
  }

  /** The values after the first step of an input, after the first two, ..., of a model with a head. */
  prefixes(input) {
    if (!this.streams) return input.map((_, t) => this.run(input.slice(0, t + 1)).value);
    let state = null;
    return input.map((step) => {
      const result = this.run([step], { state });
      state = result.state;
      return result.value;
    });
  }

  /** The multiplications that `prefixes` takes. */
  prefixCost({ length }) {
    return this.cost * (this.streams ? length : (length * (length + 1)) / 2);
  }
}

/** The tensors of a page: little-endian float32 in base64, one after another; `places` has [name, begin, length]. */
export function readTensors(base64, places) {
  const binary = atob(base64);
  const bytes = new Uint8Array(binary.length);
  for (let k = 0; k < binary.length; k += 1) bytes[k] = binary.charCodeAt(k);
  const view = new DataView(bytes.buffer);
  const values = new Float32Array(bytes.length / 4);
  for (let k = 0; k < values.length; k += 1) values[k] = view.getFloat32(4 * k, true);
  return new Map(places.map(([name, begin, length]) => [name, values.subarray(begin, begin + length)]));
}
