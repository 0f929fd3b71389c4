// compare.mjs PACKAGE PROGRAM SHARED WORK COUNT SEED [KIND]
// Ids of random texts, the native library's beside Tessera's, for every kind of tokenizer. Texts are
// made of pieces of that tokenizer's vocabulary, of letters of many scripts, spaces, digits, marks and
// repetitions, since merges and words meet each other there in ways that no prose has.
import {createRequire} from 'node:module';
import fs from 'node:fs';
import path from 'node:path';
import {kKinds, prepare} from './kinds.mjs';
import {Pair} from './pair.mjs';

const [place, program, shared, work, count, seed, only] = process.argv.slice(2);
const tokenizers = createRequire(place + '/')('tokenizers');

// mulberry32
let state = Number(seed) >>> 0;
function random() {
  state = (state + 0x6D2B79F5) >>> 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}
const below = (n) => Math.floor(random() * n);
const pick = (list) => list[below(list.length)];

const kRanges = [[0x21, 0x7E], [0xA1, 0x17F], [0x300, 0x36F], [0x391, 0x3C9], [0x410, 0x44F], [0x5D0, 0x5EA],
  [0x620, 0x64A], [0x905, 0x94D], [0xE01, 0xE3A], [0x1100, 0x11FF], [0x2000, 0x206F], [0x3041, 0x30FF],
  [0x4E00, 0x9FFF], [0xAC00, 0xD7A3], [0xFF01, 0xFF5E], [0x1F300, 0x1F6FF], [0x20000, 0x2A6DF]];
const kSpaces = [' ', ' ', ' ', '  ', '\n', '\t', '\u00A0', '\u3000', '\r\n', '   '];

function letters() {
  const [from, to] = pick(kRanges);
  let out = '';
  for (let n = 1 + below(8); n > 0; --n) out += String.fromCodePoint(from + below(to - from + 1));
  return out;
}

function piece(vocabulary) {
  const kind = below(10);
  if (kind < 5) return pick(vocabulary).replaceAll('\u2581', ' ').replaceAll('\u0120', ' ').replaceAll('##', '');
  if (kind < 7) return letters();
  if (kind < 8) return pick(kSpaces);
  if (kind < 9) return String(below(10 ** (1 + below(9))));
  return pick(vocabulary).slice(0, 3).repeat(1 + below(12));
}

function text(vocabulary) {
  let out = '';
  for (let n = 1 + below(30); n > 0; --n) out += piece(vocabulary) + (below(3) === 0 ? pick(kSpaces) : '');
  return out.replace(/[\uD800-\uDFFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g, '');
}

let failed = false;
for (const name of Object.keys(kKinds)) {
  if (only && only !== name) continue;
  const {native} = prepare(shared, name, work);
  const {vocab} = JSON.parse(fs.readFileSync(path.join(native, 'tokenizer.json'))).model;
  const vocabulary = (Array.isArray(vocab) ? vocab.map(([token]) => token) : Object.keys(vocab)).filter((t) => t !== '');
  const texts = Array.from({length: Number(count)}, (_, i) => ({name: `text ${i}`, text: text(vocabulary)}));
  const pair = new Pair(tokenizers, program, shared, name, work, texts);
  const difference = await pair.difference();
  pair.end();
  failed ||= difference !== null;
  console.log(`${name}: ${difference === null ? `${count} texts alike` : `${difference} differs: ` +
    JSON.stringify(texts[Number(difference.slice(5))].text)}`);
}
process.exit(failed ? 1 : 0);
