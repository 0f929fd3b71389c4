// offsets.mjs PACKAGE SHARED WORK TOKENIZER < requests.json > encodings.json
// What the native library makes of texts, a list of [text] or [text, pair]: for each {ids, types, tokens,
// offsets (code points of the text), words, special, sequences}. Uncut: 0.23 stops tokenizing where it cuts,
// and so loses most of the windows behind the first (huggingface/tokenizers issue 2091).
import {createRequire} from 'node:module';
import fs from 'node:fs';
import path from 'node:path';
import {prepare} from './kinds.mjs';

const [place, shared, work, name] = process.argv.slice(2);
const {Tokenizer} = createRequire(place + '/')('tokenizers');
const {native} = prepare(shared, name, work);
const json = JSON.parse(fs.readFileSync(path.join(native, 'tokenizer.json')));
// kinds.mjs serves single texts: the template that it makes of a vocab.txt ends a pair too early.
const template = json.post_processor.pair;
if (template && !template.at(-1).SpecialToken) template.push({SpecialToken: {id: '[SEP]', type_id: 1}});
const tokenizer = Tokenizer.fromString(JSON.stringify(json));
tokenizer.disableTruncation();
tokenizer.disablePadding();

const encodings = [];
for (const texts of JSON.parse(fs.readFileSync(0))) {
  const e = await tokenizer.encode(...texts);
  encodings.push({ids: e.getIds(), types: e.getTypeIds(), tokens: e.getTokens(), offsets: e.getOffsets(),
    words: e.getWordIds(), special: e.getSpecialTokensMask(), sequences: e.getSequenceIds()});
}
process.stdout.write(JSON.stringify(encodings));
