// The texts that are timed. All are made or read here, the same at every call.
import fs from 'node:fs';
import path from 'node:path';
import zlib from 'node:zlib';

// A small generator of numbers, the same everywhere (mulberry32).
function random(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6D2B79F5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function fill(length, next) {
  const parts = [];
  for (let size = 0; size < length;) {
    const part = next();
    parts.push(part);
    size += Buffer.byteLength(part);
  }
  return parts.join('');
}

const pick = (r, list) => list[Math.floor(r() * list.length)];
const character = (r, first, last) => String.fromCodePoint(first + Math.floor(r() * (last - first + 1)));

// English words as prose has them: the more frequent, the earlier in the vocabulary of BERT.
function vocabularyWords(shared) {
  return fs.readFileSync(path.join(shared, 'files/bert-base-uncased/vocab.txt'), 'utf8')
    .split('\n').filter((w) => /^[a-z]{1,14}$/.test(w)).slice(26);
}
const proseWord = (r, words) => words[Math.floor(Math.pow(words.length, r())) - 1];

function prose(r, words, length) {
  let opens = true;
  return fill(length, () => {
    const word = proseWord(r, words);
    const mark = r() < 0.1 ? pick(r, [',', '.', '.', ';', ' -']) : '';
    const text = (opens ? word[0].toUpperCase() + word.slice(1) : word) + mark + ' ';
    opens = mark === '.';
    return text;
  }).trimEnd();
}

const kCode = `template <class Key, class Value>
std::optional<Value> Cache<Key, Value>::find(const Key& key) const noexcept {
  const std::size_t mask = slots_.size() - 1;
\tfor (std::size_t i = hash_(key) & mask; slots_[i].used; i = (i + 1) & mask) {
    if (slots_[i].key == key) return slots_[i].value;  // a hit
  }
  return std::nullopt;
}
#define MIN(a, b) ((a) < (b) ? (a) : (b))
for i in range(0, len(xs), 2): ys += [f"{xs[i]:>8.3f}" if i % 4 else None]
`;
const kGreekAndCyrillic = 'Η γρήγορη καφέ αλεπού πηδάει πάνω από το τεμπέλικο σκυλί. ' +
  'Съешь же ещё этих мягких французских булок, да выпей чаю. ';
const kAccents = 'Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich. ' +
  'Le cœur déçu mais l’âme plutôt naïve, Louÿs rêva de crapaüter en canoë. ';
const kArabicAndHindi = 'نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر. ' +
  'ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण का सर्वनाश करने वाले. ';

const han = (r) => character(r, 0x4E00, 0x5FFF);
const japanese = (r) => (r() < 0.35 ? han(r) : r() < 0.8 ? character(r, 0x3042, 0x3093) : character(r, 0x30A2, 0x30F3));
const emoji = (r) => pick(r, ['😀', '👍🏽', '👩‍👩‍👧', '🇩🇪', '❤️', '🚀', '🏳️‍🌈', '1️⃣']);
const letter = (r) => {
  const k = r();
  if (k < 0.3) return character(r, 0x61, 0x7A);
  if (k < 0.5) return character(r, 0xE0, 0xF6);
  if (k < 0.7) return character(r, 0x430, 0x44F);
  if (k < 0.8) return character(r, 0x3B1, 0x3C1);
  return k < 0.9 ? character(r, 0x4E00, 0x9FA5) : character(r, 0xAC00, 0xD7A3);
};

// {name, text} of shapes that people and programs send.
function shapes(shared) {
  const words = vocabularyWords(shared);
  const r = random(7);
  const repeat = (s, length) => s.repeat(Math.ceil(length / Buffer.byteLength(s)));
  return [
    ['one word', 'embedding'],
    ['a question', 'How do I reset the password of my account?'],
    ['a sentence', 'The quick brown fox, which nobody had seen before, jumps over the lazy dog.'],
    ['a paragraph of 500 words', prose(r, words, 3000)],
    ['a document of 60 kB', prose(r, words, 60000)],
    ['lines of a log', fill(4000, () => `2024-03-${10 + Math.floor(r() * 20)}T12:${10 + Math.floor(r() * 50)}:07.123Z INFO [worker-${Math.floor(r() * 16)}] GET /api/v1/items/${Math.floor(r() * 1e6)} 200 ${Math.floor(r() * 900)}ms\n`)],
    ['code', repeat(kCode, 4000)],
    ['white space', fill(3000, () => pick(r, ['    ', '\n\n', '\t', '  ', ' a ', '\n        ', ' b', '\r\n']))],
    ['numbers', fill(3000, () => `${Math.floor(r() * 1e9)} `)],
    ['punctuation', fill(2000, () => pick(r, [...'.,;:!?()[]{}-_/\\|"\'`~@#$%^&*+=<>']))],
    ['accents', repeat(kAccents, 3000)],
    ['Greek and Cyrillic', repeat(kGreekAndCyrillic, 3000)],
    ['Arabic and Hindi', repeat(kArabicAndHindi, 3000)],
    ['Chinese', fill(3000, () => (r() < 0.1 ? pick(r, ['，', '。']) : han(r)))],
    ['Japanese', fill(3000, () => (r() < 0.06 ? pick(r, ['、', '。']) : japanese(r)))],
    ['Korean', fill(3000, () => (r() < 0.25 ? ' ' : character(r, 0xAC00, 0xD7A3)))],
    ['emoji', fill(2000, () => emoji(r) + (r() < 0.2 ? ' ' : ''))],
    ['one word of 4 kB', fill(4000, () => character(r, 0x61, 0x7A))],
    ['one character, 4 kB', 'a'.repeat(4000)],
    ['base64', fill(4000, () => pick(r, [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/']))],
    ['letters of all scripts', fill(4000, () => letter(r) + (r() < 0.15 ? ' ' : ''))],
  ].map(([name, text]) => ({name, text}));
}

// All texts of the vectors; every `step`-th is timed, all are compared.
export function allTexts(shared, step) {
  const vectors = JSON.parse(zlib.gunzipSync(fs.readFileSync(path.join(shared, 'vectors/texts.json.gz'))));
  const texts = shapes(shared).map((t) => ({...t, timed: true}));
  Object.entries(vectors).filter(([, text]) => text !== '').forEach(([key, text], i) => {
    texts.push({name: `vector ${key}`, text, timed: i % step === 0});
  });
  return texts;
}

// Single lines of about `bytes` bytes, by shape.
export function lines(shared, bytes) {
  const words = vocabularyWords(shared);
  const r = random(11);
  return [
    ['words', prose(r, words, bytes)],
    ['one word', fill(bytes, () => character(r, 0x61, 0x7A))],
    ['one character', 'a'.repeat(bytes)],
    ['Chinese', fill(bytes, () => han(r))],
    ['letters of all scripts', fill(bytes, () => letter(r))],
    ['spaces', ' '.repeat(bytes)],
  ].map(([name, text]) => ({name, text}));
}

// As time_tokenizing reads them.
export function writeTexts(file, texts) {
  const out = fs.openSync(file, 'w');
  for (const {text} of texts) {
    const bytes = Buffer.from(text);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(bytes.length);
    fs.writeSync(out, length);
    for (let done = 0; done < bytes.length;) done += fs.writeSync(out, bytes, done);
  }
  fs.closeSync(out);
}
