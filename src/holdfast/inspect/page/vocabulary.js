// Texts as ids and back: characters, words, byte-pair pieces, or each text as one token.

export const UNKNOWN = 1;
export const BEGIN = 2;
export const END = 3;
const SPECIAL = 4; // ids below this are padding, unknown, begin and end

const WORD = String.raw`\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}`;
const WORDS = new RegExp(String.raw`[${WORD}]+|[^${WORD}\p{White_Space}]+`, "gu");
const BLANK = "▁"; // in a piece, the space before it

/** The token of each id, and the rules that cut a text. */
export class Vocabulary {
  /** @param description {unit, lower, tokens, merges}: merges are pairs of pieces, the first joined first. */
  constructor({ unit, lower, tokens, merges }) {
    this.unit = unit;
    this.lower = lower;
    this.tokens = tokens;
    this.ids = new Map(tokens.map((token, id) => [token, id]));
    this.ranks = new Map(merges.map(([left, right], rank) => [`${left}\u0000${right}`, rank]));
  }

  /** The tokens of a text: [{id, text}], where `text` is the part of the text; an unknown one has the id UNKNOWN. */
  encode(text) {
    const tokens = (part) => (part.id === undefined ? this.cut(part.text) : [part]);
    return this.splitSpecial(text).flatMap(tokens);
  }

  /** The names of special tokens inside a text are these tokens. */
  splitSpecial(text) {
    const names = this.tokens.slice(0, SPECIAL);
    const parts = [];
    let begin = 0;
    for (let place = 0; place < text.length;) {
      const id = names.findIndex((name) => text.startsWith(name, place));
      if (id < 0) {
        place += 1;
        continue;
      }
      parts.push({ text: text.slice(begin, place) }, { id, text: names[id] });
      place += names[id].length;
      begin = place;
    }
    return [...parts, { text: text.slice(begin) }].filter((part) => part.text);
  }

  cut(part) {
    const text = this.lower ? Array.from(part, (letter) => letter.toLowerCase()).join("") : part;
    const known = (token) => ({ id: this.ids.get(token) ?? UNKNOWN, text: token });
    if (this.unit === "characters") return Array.from(text, known);
    if (this.unit === "words") return (text.match(WORDS) ?? []).map(known);
    if (this.unit === "tokens") return text ? [known(text)] : [];
    const blanks = text.replaceAll(" ", BLANK);
    const whole = blanks.startsWith(BLANK) ? blanks : BLANK + blanks;
    return whole.split(/(?=▁)/u).flatMap((word) => this.merge(Array.from(word))).map(known);
  }

  /** Byte-pair encoding (Sennrich et al. 2016): again and again, the neighbours that were merged first in training. */
  merge(letters) {
    let pieces = letters;
    for (;;) {
      let best = Infinity;
      let place = -1;
      for (let k = 0; k + 1 < pieces.length; k += 1) {
        const rank = this.ranks.get(`${pieces[k]}\u0000${pieces[k + 1]}`) ?? Infinity;
        if (rank < best) [best, place] = [rank, k];
      }
      if (place < 0) return pieces;
      pieces = [...pieces.slice(0, place), pieces[place] + pieces[place + 1], ...pieces.slice(place + 2)];
    }
  }

  /** The text of ids, without padding, begin and end. */
  decode(ids) {
    const kept = ids.filter((id) => id >= SPECIAL || id === UNKNOWN).map((id) => this.tokens[id]);
    if (this.unit === "characters") return kept.join("");
    if (this.unit !== "pieces") return kept.join(" ");
    return kept.map((token, k) => token.replaceAll(BLANK, k ? " " : "")).join("");
  }
}
