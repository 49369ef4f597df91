// Sound as numbers: another rate, and a WAV file.

const CROSSINGS = 16; // zeros of the sinc on each side: the transition is about a tenth of the band

/**
 * Sound at another rate, chunk by chunk: band-limited interpolation with a sinc in a Hann window (Smith and Gossett
 * 1984, "A flexible sampling-rate conversion method"). The result does not depend on where the chunks are cut.
 */
export class Resampler {
  constructor(from, to) {
    this.step = from / to; // samples of the input per sample of the output
    this.cutoff = Math.min(1, to / from) * (from === to ? 1 : 0.95);
    this.half = Math.ceil(CROSSINGS / this.cutoff);
    this.same = from === to;
    this.kept = new Float32Array(this.half);
    this.place = this.half; // of the next output, in `kept`
  }

  /** The outputs that some more samples complete. */
  push(samples) {
    if (this.same) return samples;
    const all = new Float32Array(this.kept.length + samples.length);
    all.set(this.kept);
    all.set(samples, this.kept.length);
    const found = [];
    for (; this.place + this.half < all.length; this.place += this.step) found.push(this.at(all));
    const done = Math.max(0, Math.floor(this.place) - this.half);
    this.kept = all.slice(done);
    this.place -= done;
    return Float32Array.from(found);
  }

  /** The outputs that the end of the sound adds. */
  finish() {
    return this.push(new Float32Array(this.half));
  }

  at(all) {
    const { place, half, cutoff } = this;
    let sum = 0;
    for (let k = Math.max(0, Math.ceil(place - half)); k <= place + half; k += 1) {
      const x = k - place;
      const angle = Math.PI * cutoff * x;
      const sinc = angle === 0 ? 1 : Math.sin(angle) / angle;
      sum += all[k] * cutoff * sinc * (0.5 + 0.5 * Math.cos((Math.PI * x) / half));
    }
    return sum;
  }
}

/** A file of sound: WAV with 16 bits per sample and one channel. */
export function wavFile(samples, rate, name) {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const write = (place, text) => Array.from(text, (letter, k) => view.setUint8(place + k, letter.charCodeAt(0)));
  write(0, "RIFF");
  view.setUint32(4, 36 + 2 * samples.length, true);
  write(8, "WAVEfmt ");
  const format = [[16, 4], [1, 2], [1, 2], [rate, 4], [2 * rate, 4], [2, 2], [16, 2]]; // values and their bytes
  let place = 16;
  for (const [value, size] of format) {
    if (size === 4) view.setUint32(place, value, true);
    else view.setUint16(place, value, true);
    place += size;
  }
  write(36, "data");
  view.setUint32(40, 2 * samples.length, true);
  samples.forEach((sample, k) => {
    view.setInt16(44 + 2 * k, Math.round(32767 * Math.max(-1, Math.min(1, sample))), true);
  });
  return new File([view], name, { type: "audio/wav" });
}
