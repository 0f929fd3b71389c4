// turns.mjs PACKAGE NAME=MODEL.onnx...
// Keeps models of make_onnx.py or quantize_onnx.py loaded in ONNX Runtime on one thread, and runs one when stdin
// says so, a line each: NAME BATCH TOKENS RUNS IDS.i64 [OUTPUT.f32]. Answers each with a line of JSON:
// {"seconds": median of RUNS, "least": ...}; one run before warms up. The first line has the version.
import {createRequire} from 'node:module';
import fs from 'node:fs';
import readline from 'node:readline';

const [place, ...models] = process.argv.slice(2);
const ort = createRequire(place + '/')('onnxruntime-node');
const sessions = {};
for (const model of models) {
  const cut = model.indexOf('=');
  sessions[model.slice(0, cut)] = await ort.InferenceSession.create(model.slice(cut + 1), {
    executionProviders: ['cpu'], intraOpNumThreads: 1, interOpNumThreads: 1,
    graphOptimizationLevel: 'all', executionMode: 'sequential',
  });
}
console.log(JSON.stringify({version: ort.env.versions.node}));
for await (const line of readline.createInterface({input: process.stdin})) {
  const [name, batch, tokens, runs, file, output] = line.split(' ');
  const bytes = fs.readFileSync(file);
  const ids = new BigInt64Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  const feeds = {input_ids: new ort.Tensor('int64', ids, [Number(batch), Number(tokens)])};
  const times = [];
  let result;
  for (let i = 0; i <= Number(runs); ++i) {
    const begin = process.hrtime.bigint();
    result = await sessions[name].run(feeds);
    if (i > 0) times.push(Number(process.hrtime.bigint() - begin) / 1e9);
  }
  times.sort((a, b) => a - b);
  const {data} = result.last_hidden_state;
  if (output) fs.writeFileSync(output, Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  console.log(JSON.stringify({seconds: times[times.length >> 1], least: times[0]}));
}
