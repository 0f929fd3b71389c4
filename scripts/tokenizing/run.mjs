// run.mjs PACKAGE PROGRAM SHARED WORK OUTPUT.json [--only KIND] [--step N] [--rounds N]
// Compares ids and times at every kind of tokenizer; see pair.mjs. Fails if any ids differ.
import {createRequire} from 'node:module';
import {parseArgs} from 'node:util';
import fs from 'node:fs';
import {kKinds} from './kinds.mjs';
import {Pair} from './pair.mjs';
import {allTexts} from './texts.mjs';

const {values, positionals} = parseArgs({
  allowPositionals: true,
  options: {only: {type: 'string'}, step: {type: 'string', default: '40'},
    rounds: {type: 'string', default: '5'}},
});
const [place, program, shared, work, output] = positionals;
const tokenizers = createRequire(place + '/')('tokenizers');
const texts = allTexts(shared, Number(values.step));
const results = [];
for (const [name, kind] of Object.entries(kKinds)) {
  if (values.only && values.only !== name) continue;
  const pair = new Pair(tokenizers, program, shared, name, work, texts);
  const difference = await pair.difference();
  if (difference !== null) {
    console.error(`error: ${name}: the ids of "${difference}" differ`);
    process.exit(1);
  }
  const times = [];
  for (const [i, {name: text, timed}] of texts.entries()) {
    if (!timed) continue;
    times.push({text, bytes: Buffer.byteLength(texts[i].text), ...await pair.time(i, Number(values.rounds))});
  }
  pair.end();
  results.push({name, kind, compared: texts.length, times});
  const ratios = times.map((t) => t.native / t.ours).sort((a, b) => a - b);
  console.error(`${name}: median ${ratios[ratios.length >> 1].toFixed(2)}, least ${ratios[0].toFixed(2)}`);
}
fs.writeFileSync(output, JSON.stringify(results));
