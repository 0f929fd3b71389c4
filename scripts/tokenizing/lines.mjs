// lines.mjs PACKAGE PROGRAM SHARED WORK OUTPUT.json [--only KIND] [--most MB] [--native-most MB]
// Times single lines of 0.3 to 5 MB, by shape, at every kind of tokenizer; see pair.mjs. The ids of the
// shortest are compared. The native library is not asked for longer lines than --native-most.
import {createRequire} from 'node:module';
import {parseArgs} from 'node:util';
import fs from 'node:fs';
import {kKinds} from './kinds.mjs';
import {Pair} from './pair.mjs';
import {lines} from './texts.mjs';

const {values, positionals} = parseArgs({
  allowPositionals: true,
  options: {only: {type: 'string'}, most: {type: 'string', default: '5'},
    'native-most': {type: 'string', default: '5'}},
});
const [place, program, shared, work, output] = positionals;
const tokenizers = createRequire(place + '/')('tokenizers');
const most = Number(values.most) * 1e6;
const sizes = [16, 8, 4, 2, 1].map((part) => most / part);
const longest = lines(shared, most);
const shapes = longest.map(({name}) => name);
// A shorter line is the beginning of the longest one.
const cut = (text, bytes) => {
  const all = Buffer.from(text);
  let end = Math.min(bytes, all.length);
  while (end < all.length && (all[end] & 0xC0) === 0x80) --end;
  return all.subarray(0, end).toString();
};
const texts = sizes.flatMap((bytes) => longest.map(({name, text}) => ({name, text: cut(text, bytes)})));
const results = [];
for (const name of Object.keys(kKinds)) {
  if (values.only && values.only !== name) continue;
  const pair = new Pair(tokenizers, program, shared, name, work, texts);
  const difference = await pair.difference(shapes.length);
  if (difference !== null) {
    console.error(`error: ${name}: the ids of "${difference}" differ`);
    process.exit(1);
  }
  for (const [s, shape] of shapes.entries()) {
    const row = {name, shape, bytes: [], ours: [], keeping: [], native: []};
    for (const k of sizes.keys()) {
      const i = k * shapes.length + s;
      row.bytes.push(Buffer.byteLength(texts[i].text));
      const times = await pair.timeOnce(i, sizes[k] <= 1e6 * Number(values['native-most']));
      for (const [which, ns] of Object.entries(times)) row[which].push(ns);
    }
    results.push(row);
    const show = (xs) => xs.map((ns) => (ns === null ? '-' : (ns / 1e9).toFixed(3))).join(' ');
    console.error(`${name}, ${shape}: ${show(row.ours)} s; memory kept ${show(row.keeping)} s; native ${show(row.native)} s`);
  }
  pair.end();
  fs.writeFileSync(output, JSON.stringify(results));
}
