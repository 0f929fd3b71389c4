// SPDX-License-Identifier: Apache-2.0
// texts.mjs PACKAGE MODELS NAME TEXTS.txt RUNS [OUTPUT.f32]
// Embeds the lines of a file with transformers.js (tokenizer, ONNX Runtime, mean pooling, normalisation) on one
// thread, in batches of 32 of similar length, as sentence-transformers sorts them; prints JSON:
// seconds of each run, by the clock and of CPU time, and from the start of this program to the first embedding.
import fs from 'node:fs';
import {createRequire} from 'node:module';
import path from 'node:path';
import {pathToFileURL} from 'node:url';

const [place, models, name, file, runs, output] = process.argv.slice(2);
// The package's own way for node, wherever this file is.
const entry = createRequire(place + '/').resolve('@huggingface/transformers');
const {pipeline, env} = await import(pathToFileURL(path.resolve(entry)));
env.allowRemoteModels = false;
env.localModelPath = models;
const extract = await pipeline('feature-extraction', name, {
  dtype: 'fp32', device: 'cpu',
  session_options: {intraOpNumThreads: 1, interOpNumThreads: 1, executionMode: 'sequential'},
});
const texts = fs.readFileSync(file, 'utf8').split('\n').filter((line) => line);
const options = {pooling: 'mean', normalize: true};
const first = await extract(texts.slice(0, 1), options);
const start = process.uptime();
const width = first.dims[1];
const order = texts.map((_, i) => i).sort((a, b) => texts[b].length - texts[a].length);
const rows = new Float32Array(texts.length * width);
const seconds = [], cpu = [];
for (let run = 0; run < Number(runs); ++run) {
  const begin = process.hrtime.bigint(), used = process.cpuUsage();
  for (let i = 0; i < order.length; i += 32) {
    const part = order.slice(i, i + 32);
    const result = await extract(part.map((j) => texts[j]), options);
    part.forEach((j, k) => rows.set(result.data.subarray(k * width, (k + 1) * width), j * width));
  }
  seconds.push(Number(process.hrtime.bigint() - begin) / 1e9);
  const more = process.cpuUsage(used);
  cpu.push((more.user + more.system) / 1e6);
}
if (output) fs.writeFileSync(output, Buffer.from(rows.buffer));
console.log(JSON.stringify({seconds, cpu, start, width, version: env.version}));
