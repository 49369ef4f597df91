// Runs beside the page, in the thread of the sound: hands on what the microphone gives, in chunks.

const CHUNK = 2048; // samples

class Recorder extends AudioWorkletProcessor {
  constructor() {
    super();
    this.samples = new Float32Array(CHUNK);
    this.count = 0;
  }

  process([channels]) {
    const [first] = channels;
    if (!first) return true;
    for (const sample of first) {
      this.samples[this.count] = sample;
      this.count += 1;
      if (this.count === CHUNK) {
        this.port.postMessage(this.samples.slice());
        this.count = 0;
      }
    }
    return true;
  }
}

registerProcessor("recorder", Recorder);
