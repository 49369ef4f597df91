// The maths below every cell: activations, products, normalisation, softmax.
//
// Weights are float32. Sums are taken in double precision, so a result differs from the same model in float32 only by
// the rounding of the latter.

/** erf(x): the series 2/√π exp(-x²) Σ 2^n x^(2n+1) / (1·3·…·(2n+1)), whose terms all have one sign. */
export function erf(x) {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n += 1) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

export const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const softplus = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const hardSigmoid = (x, α, β) => Math.min(Math.max(α * x + β, 0), 1);

// Each function takes a number and the parameters of its name; the defaults are those of holdfast.cells.activations.
const ACTIVATIONS = {
  tanh: Math.tanh,
  sigmoid,
  relu: (x) => Math.max(x, 0),
  linear: (x) => x,
  hard_sigmoid: (x, α = 1 / 6, β = 0.5) => hardSigmoid(x, α, β),
  hard_sigmoid_02: (x) => hardSigmoid(x, 0.2, 0.5),
  softsign: (x) => x / (1 + Math.abs(x)),
  softplus,
  elu: (x, α = 1) => (x > 0 ? x : α * Math.expm1(x)),
  selu: (x) => 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * Math.expm1(x)),
  exponential: Math.exp,
  leaky_relu: (x, α = 0.01) => (x > 0 ? x : α * x),
  relu6: (x) => Math.min(Math.max(x, 0), 6),
  thresholded_relu: (x, θ = 1) => (x > θ ? x : 0),
  affine: (x, α = 1, β = 0) => α * x + β,
  scaled_tanh: (x, α = 1, β = 1) => α * Math.tanh(β * x),
  silu: (x) => x * sigmoid(x),
  gelu: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
  mish: (x) => x * Math.tanh(softplus(x)),
};

/** The function of a name such as "tanh" or "leaky_relu(0.2)". */
export function activation(name) {
  const [base, listed] = name.split("(");
  if (!Object.hasOwn(ACTIVATIONS, base)) throw new Error(`There is no activation ${name} on this page.`);
  const parameters = listed ? listed.replace(")", "").split(",").map(Number) : [];
  const plain = ACTIVATIONS[base];
  return parameters.length ? (x) => plain(x, ...parameters) : (x) => plain(x);
}

export const clip = (x, bound) => Math.min(Math.max(x, -bound), bound);

/**
 * y = W x for `rows` rows of W from row `first` on; W has x.length columns.
 *
 * Each row has four sums, which the processor adds at the same time.
 */
export function product(W, x, rows, first = 0) {
  const columns = x.length;
  const fours = columns - (columns % 4);
  const y = new Float64Array(rows);
  for (let row = 0, place = first * columns; row < rows; row += 1, place += columns) {
    let [a, b, c, d] = [0, 0, 0, 0];
    for (let k = 0; k < fours; k += 4) {
      a += W[place + k] * x[k];
      b += W[place + k + 1] * x[k + 1];
      c += W[place + k + 2] * x[k + 2];
      d += W[place + k + 3] * x[k + 3];
    }
    for (let k = fours; k < columns; k += 1) a += W[place + k] * x[k];
    y[row] = a + b + (c + d);
  }
  return y;
}

/** Adds b[first], b[first + 1], ... to y in place; without b, y stays as it is. */
export function addBias(y, b, first = 0) {
  if (b) for (let k = 0; k < y.length; k += 1) y[k] += b[first + k];
  return y;
}

/** y = W x + b as float32. */
export function linear(W, b, x, outputs) {
  return Float32Array.from(addBias(product(W, x, outputs), b));
}

const EPSILON = 1e-5; // as torch.nn.LayerNorm

/** LN(a; gain) = gain ⊙ (a - mean(a)) / sqrt(var(a) + ε) of `size` values from `begin` on, in place. */
export function normalise(a, begin, size, gain, gainBegin = begin) {
  let mean = 0;
  for (let k = 0; k < size; k += 1) mean += a[begin + k] / size;
  let variance = 0;
  for (let k = 0; k < size; k += 1) variance += (a[begin + k] - mean) ** 2 / size;
  const scale = 1 / Math.sqrt(variance + EPSILON);
  for (let k = 0; k < size; k += 1) a[begin + k] = gain[gainBegin + k] * (a[begin + k] - mean) * scale;
  return a;
}

/** softmax(scores), in double precision; a score of -Infinity has the probability 0. */
export function softmax(scores) {
  let highest = -Infinity;
  for (const score of scores) highest = Math.max(highest, score);
  const powers = Float64Array.from(scores, (score) => Math.exp(score - highest));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}
