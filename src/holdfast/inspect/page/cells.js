// One step of each cell: the equations of holdfast.cells in the same letters, as in evaluation (no dropout).

import { activation, addBias, clip, normalise, product } from "./maths.js";

const DEFAULTS = {
  bias: true,
  activation: "tanh",
  recurrent_activation: "sigmoid",
  output_activation: null,
  gate_clip: null,
  peepholes: false,
  coupled_gates: false,
  proj_size: 0,
  proj_clip: null,
  cell_clip: null,
  reset_after: true,
  layer_norm: false,
  zoneout_h: 0,
  zoneout_c: 0,
};

const GATES = { rnn: ["h"], gru: ["r", "z", "n"], lstm: ["i", "f", "g", "o"] };
const NAMES = { i: "input", f: "forget", g: "candidate", o: "output", r: "reset", z: "update", n: "candidate" };

/** A cell with its weights, ready to run over time. */
export class Cell {
  /**
   * @param description The cell as a model file describes it: kind, sizes, and the options that were changed.
   * @param parameter Gives the tensor of a name such as "weight_ih"; undefined where the cell does not have it.
   */
  constructor(description, parameter) {
    Object.assign(this, DEFAULTS, description);
    this.gates = this.coupled_gates ? ["i", "g", "o"] : GATES[this.kind];
    this.H = this.hidden_size;
    this.O = this.proj_size || this.H;
    this.rows = this.gates.length * this.H;
    this.p = {};
    for (const name of ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr", "weight_peephole", "norm_ih",
      "norm_hh", "norm_c", "norm_c_bias"]) this.p[name] = parameter(name);
    const clipped = (f) => (this.gate_clip === null ? f : (a) => f(clip(a, this.gate_clip)));
    this.σ = clipped(activation(this.recurrent_activation));
    this.φ = clipped(activation(this.activation));
    this.ψ = activation(this.output_activation ?? this.activation);
    this.step = { rnn: this.rnn, gru: this.gru, lstm: this.lstm }[this.kind];
  }

  /** The names of what a step returns beside h and c, such as "forget". */
  get gateNames() {
    if (this.kind === "rnn") return ["candidate"];
    return (this.coupled_gates ? GATES.lstm : this.gates).map((gate) => NAMES[gate]);
  }

  /** A state of zeros. */
  zeros() {
    const h = new Float32Array(this.O);
    return this.kind === "lstm" ? { h, c: new Float32Array(this.H) } : { h };
  }

  /** W x + b of the gates from `first` to `last - 1`; with layer_norm, LN(W x; γ) + b over `groups` of gates. */
  sums(which, x, first, last, groups) {
    const { H, p } = this;
    const y = product(p[`weight_${which}`], x, (last - first) * H, first * H);
    if (this.layer_norm) {
      let begin = 0;
      for (const gates of groups) {
        normalise(y, begin, gates * H, p[`norm_${which}`], first * H + begin);
        begin += gates * H;
      }
    }
    return addBias(y, p[`bias_${which}`], first * H);
  }

  /** The input product a = W_ih x + b_ih, which needs no state. */
  prepare(x) {
    return this.sums("ih", x, 0, this.gates.length, this.kind === "gru" ? [2, 1] : [this.gates.length]);
  }

  /** h' = φ(W_ih x + b_ih + W_hh h + b_hh) */
  rnn(a, { h }) {
    const u = this.sums("hh", h, 0, 1, [1]);
    const h_new = Float32Array.from(u, (value, k) => this.φ(a[k] + value));
    return { state: { h: this.zoned(h, h_new, this.zoneout_h) }, gates: [h_new] };
  }

  /**
   * r  = σ(W_ir x + b_ir + W_hr h + b_hr)               reset gate
   * z  = σ(W_iz x + b_iz + W_hz h + b_hz)               update gate
   * n  = φ(W_in x + b_in + r ⊙ (W_hn h + b_hn))         candidate, reset after the product: the default
   * n  = φ(W_in x + b_in + W_hn (r ⊙ h) + b_hn)         candidate, reset before the product
   * h' = (1 - z) ⊙ n + z ⊙ h
   */
  gru(a, { h }) {
    const { H, σ, φ } = this;
    const [r, z, n, h_new] = [0, 1, 2, 3].map(() => new Float32Array(H));
    const u = this.reset_after ? this.sums("hh", h, 0, 3, [2, 1]) : this.sums("hh", h, 0, 2, [2]);
    for (let k = 0; k < H; k += 1) {
      r[k] = σ(a[k] + u[k]);
      z[k] = σ(a[H + k] + u[H + k]);
    }
    const u_n = this.reset_after ? null : this.sums("hh", r.map((value, k) => value * h[k]), 2, 3, [1]);
    for (let k = 0; k < H; k += 1) {
      n[k] = φ(a[2 * H + k] + (u_n ? u_n[k] : r[k] * u[2 * H + k]));
      h_new[k] = (1 - z[k]) * n[k] + z[k] * h[k];
    }
    return { state: { h: this.zoned(h, h_new, this.zoneout_h) }, gates: [r, z, n] };
  }

  /**
   * i  = σ(W_ii x + b_ii + W_hi h + b_hi)               input gate
   * f  = σ(W_if x + b_if + W_hf h + b_hf)               forget gate; 1 - i with coupled_gates
   * g  = φ(W_ig x + b_ig + W_hg h + b_hg)               candidate
   * o  = σ(W_io x + b_io + W_ho h + b_ho)               output gate
   * c' = f ⊙ c + i ⊙ g
   * h' = o ⊙ ψ(c')                                      ψ is φ by default; W_hr h' with a projection
   *
   * With peepholes, i and f see p ⊙ c, and o sees p ⊙ c', inside σ.
   */
  lstm(a, { h, c }) {
    const { H, σ, φ, ψ, p } = this;
    const [i, f, g, o, c_new] = [0, 1, 2, 3, 4].map(() => new Float32Array(H));
    const s = addBias(this.sums("hh", h, 0, this.gates.length, [this.gates.length]), a);
    const row = (gate) => this.gates.indexOf(gate) * H;
    const seeing = this.gates.filter((gate) => gate !== "g"); // the gates that peepholes belong to, in this order
    const seen = (gate, k, cell) => (this.peepholes ? p.weight_peephole[seeing.indexOf(gate) * H + k] * cell : 0);
    const [row_i, row_f, row_g, row_o] = ["i", "f", "g", "o"].map(row);
    for (let k = 0; k < H; k += 1) {
      i[k] = σ(s[row_i + k] + seen("i", k, c[k]));
      f[k] = this.coupled_gates ? 1 - i[k] : σ(s[row_f + k] + seen("f", k, c[k]));
      g[k] = φ(s[row_g + k]);
      c_new[k] = f[k] * c[k] + i[k] * g[k];
      if (this.cell_clip !== null) c_new[k] = clip(c_new[k], this.cell_clip);
      o[k] = σ(s[row_o + k] + seen("o", k, c_new[k]));
    }
    let shown = c_new;
    if (this.layer_norm) shown = addBias(normalise(Float64Array.from(c_new), 0, H, p.norm_c), p.norm_c_bias);
    let h_new = Float32Array.from(shown, (value, k) => o[k] * ψ(value));
    if (this.proj_size) {
      h_new = Float32Array.from(product(p.weight_hr, h_new, this.proj_size));
      if (this.proj_clip !== null) h_new = h_new.map((value) => clip(value, this.proj_clip));
    }
    const state = { h: this.zoned(h, h_new, this.zoneout_h), c: this.zoned(c, c_new, this.zoneout_c) };
    return { state, gates: [i, f, g, o] };
  }

  /** Zoneout in evaluation: the expected value of the old and the new state. */
  zoned(old, fresh, probability) {
    return probability ? fresh.map((value, k) => value + probability * (old[k] - value)) : fresh;
  }
}
