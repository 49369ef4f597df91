// How a token is drawn: temperature, the k most likely tokens, the nucleus. As holdfast.decoding.sampling.

import { softmax } from "./maths.js";

/**
 * The probability with which each token is drawn.
 *
 * @param scores Before softmax; -Infinity for a token that is not allowed.
 */
export function probabilities(scores, { temperature, top_k, top_p }) {
  if (temperature === 0) {
    const best = scores.indexOf(scores.reduce((most, score) => Math.max(most, score), -Infinity));
    return Float64Array.from(scores, (_, id) => Number(id === best));
  }
  const scaled = Float64Array.from(scores, (score) => score / temperature);
  if (!top_k && top_p === 1) return softmax(scaled);
  const order = Array.from(scaled.keys()).sort((a, b) => scaled[b] - scaled[a] || a - b);
  const ordered = order.map((id, rank) => (top_k && rank >= top_k ? -Infinity : scaled[id]));
  let p = softmax(ordered);
  if (top_p < 1) {
    let before = 0;
    p = p.map((share) => {
      const kept = before < top_p ? share : 0;
      before += share;
      return kept;
    });
    const total = p.reduce((sum, share) => sum + share, 0);
    p = p.map((share) => share / total);
  }
  const drawn = new Float64Array(scores.length);
  order.forEach((id, rank) => {
    drawn[id] = p[rank];
  });
  return drawn;
}

/** The first token at which the cumulative probability exceeds `number`, which is from 0 to below 1. */
export function draw(p, number) {
  const total = p.reduce((sum, share) => sum + share, 0);
  let sum = 0;
  return p.findIndex((share) => {
    sum += share;
    return sum > number * total;
  });
}
