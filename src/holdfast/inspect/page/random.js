// NumPy's random numbers: numpy.random.default_rng(keys).random(dtype=float32), so that a seed draws the same text here
// as `holdfast predict`. PCG64 is from O'Neill 2014; SeedSequence is NumPy's (randutils of O'Neill 2015).

const WORD = 0xffffffffn;
const LONG = (1n << 128n) - 1n;
const MULTIPLIER = (2549297995355413924n << 64n) + 4865540595714422341n;

const times = (a, b) => Math.imul(a, b) >>> 0;
const mixedBits = (value) => (value ^ (value >>> 16)) >>> 0;

/** Whole numbers from 0 on, as words of 32 bits. */
function words(keys) {
  return keys.flatMap((key) => {
    const parts = [];
    for (let rest = BigInt(key); !parts.length || rest; rest >>= 32n) parts.push(Number(rest & WORD));
    return parts;
  });
}

/** The hash of SeedSequence: its constant changes with every value. */
function hash(constant, multiplier) {
  let current = constant;
  return (value) => {
    const mixed = (value ^ current) >>> 0;
    current = times(current, multiplier);
    return mixedBits(times(mixed, current));
  };
}

/** SeedSequence(keys).generate_state(4, uint64), as BigInts. */
function seedState(keys) {
  const entropy = words(keys);
  const hashed = hash(0x43b0d7e5, 0x931e8875);
  const mix = (x, y) => mixedBits((times(0xca01f9dd, x) - times(0x4973f715, y)) >>> 0);
  const pool = [0, 1, 2, 3].map((k) => hashed(entropy[k] ?? 0));
  for (let from = 0; from < 4; from += 1) {
    for (let to = 0; to < 4; to += 1) if (from !== to) pool[to] = mix(pool[to], hashed(pool[from]));
  }
  for (const value of entropy.slice(4)) {
    for (let to = 0; to < 4; to += 1) pool[to] = mix(pool[to], hashed(value));
  }
  const out = hash(0x8b51f9dd, 0x58f38ded);
  const state = Array.from({ length: 8 }, (_, k) => BigInt(out(pool[k % 4])));
  return [0, 2, 4, 6].map((k) => state[k] | (state[k + 1] << 32n));
}

/** A function that gives the next number from 0 to below 1, in steps of 2^-24. */
export function randomNumbers(keys) {
  const [stateHigh, stateLow, streamHigh, streamLow] = seedState(keys);
  const increment = ((((streamHigh << 64n) | streamLow) << 1n) | 1n) & LONG;
  const advance = (value) => (value * MULTIPLIER + increment) & LONG;
  let state = advance((increment + ((stateHigh << 64n) | stateLow)) & LONG);
  let kept = null;
  return () => {
    let word = kept;
    kept = null;
    if (word === null) {
      state = advance(state);
      const mixed = BigInt.asUintN(64, (state >> 64n) ^ state);
      const turn = state >> 122n;
      const output = BigInt.asUintN(64, (mixed >> turn) | (mixed << (64n - turn)));
      [word, kept] = [Number(output & WORD), Number(output >> 32n)];
    }
    return (word >>> 8) / 16777216;
  };
}

/** CRC-32 of a text in UTF-8, as zlib has it. */
export function crc32(text) {
  let crc = 0xffffffff;
  for (const byte of new TextEncoder().encode(text)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}
